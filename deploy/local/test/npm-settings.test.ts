import t from 'tap';
import { settingsForPnpm } from '../npm-settings.mjs';

t.test("npm's way to the registry is pnpm's", (t) => {
  const listed = {
    registry: 'https://registry.example/',
    proxy: null,
    'https-proxy': 'http://proxy.example:8080/',
    noproxy: ['localhost', '.example'],
    maxsockets: null,
  };
  t.match(settingsForPnpm(listed, {}), {
    pnpm_config_registry: 'https://registry.example/',
    pnpm_config_https_proxy: 'http://proxy.example:8080/',
    pnpm_config_noproxy: 'localhost,.example',
  });
  t.notOk(Object.hasOwn(settingsForPnpm(listed, {}), 'pnpm_config_proxy'));
  t.notOk(Object.hasOwn(settingsForPnpm({ noproxy: [''] }, { npm_config_noproxy: '' }), 'pnpm_config_noproxy'));
  t.end();
});

t.test('a proxy with a password is in no list of npm, only in the environment of its scripts', (t) => {
  const env = { npm_config_https_proxy: 'http://user:word@proxy.example:8080/' };
  t.match(settingsForPnpm({ proxy: null }, env), { pnpm_config_https_proxy: 'http://user:word@proxy.example:8080/' });
  t.end();
});
