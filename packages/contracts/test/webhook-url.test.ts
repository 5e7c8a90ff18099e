import t from 'tap';
import { checkWebhookUrl, isPublicAddress, type FlowstateError } from '../src/index.ts';

const refused = (url: string, allowPrivate = false): string => {
  try {
    checkWebhookUrl(url, { allowPrivate });
    return '';
  } catch (error) {
    const [first] = (error as FlowstateError).errors ?? [];
    return `${first?.field} ${first?.message}`;
  }
};

t.test('addresses that are not of the public internet', async (t) => {
  const local = [
    '127.0.0.1',
    '127.1.2.3',
    '0.0.0.0',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.2.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::ffff:10.0.0.1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2001::1',
    '2001:db8::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    '100::1',
    'example.com',
    '',
  ];
  for (const address of local) t.notOk(isPublicAddress(address), address);
  for (const address of ['8.8.8.8', '172.32.0.1', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2606:4700::1111']) {
    t.ok(isPublicAddress(address), address);
  }
});

t.test('URLs no webhook may go to, whatever way the address is written', async (t) => {
  const toPrivate = [
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.0.0.1./',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'http://169.254.169.254/latest/meta-data',
    'http://１２７.0.0.1/',
  ];
  for (const url of toPrivate) t.match(refused(url), /^webhookUrl must not point to a private/, url);
  const toLocalName = [
    'http://localhost:8080/',
    'http://LOCALHOST./',
    'http://a.localhost/',
    'http://redis:6379/',
    'http://metadata.google.internal/',
    'http://printer.local/',
  ];
  for (const url of toLocalName) t.match(refused(url), /^webhookUrl must not point to a name of the local/, url);
  for (const url of [...toPrivate, ...toLocalName]) t.equal(refused(url, true), '', `${url} where that is allowed`);
});

t.test('what is refused even where private addresses are allowed', async (t) => {
  for (const [url, why] of [
    ['ftp://example.com/', /must be an http or https URL/],
    ['file:///etc/passwd', /must be an http or https URL/],
    ['https://user@example.com/', /user name or password/],
    ['https://:secret@example.com/', /user name or password/],
    ['http://example.com:25/', /must use port/],
    ['not a url', /must be a URL/],
  ] as const) {
    t.match(refused(url, true), why, url);
    t.match(refused(url, false), why, url);
  }
});

t.test('public URLs pass and come back in normal form', async (t) => {
  const href = (url: string) => checkWebhookUrl(url, { allowPrivate: false }).href;
  t.equal(href('HTTPS://Example.COM:443/a?b=c'), 'https://example.com/a?b=c');
  t.equal(href('http://example.com:8080'), 'http://example.com:8080/');
  t.equal(href('https://8.8.8.8/'), 'https://8.8.8.8/');
  t.equal(href('https://[2606:4700::1111]:8443/'), 'https://[2606:4700::1111]:8443/');
});
