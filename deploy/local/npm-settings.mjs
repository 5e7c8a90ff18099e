// How npm reaches a registry, in the names pnpm reads from the environment.
// Plain JavaScript without dependencies, because it runs before any of them is there.

const names = ['registry', 'proxy', 'https-proxy', 'noproxy', 'cafile', 'strict-ssl', 'maxsockets'];

/**
 * pnpm reads npm's files, but neither npm's environment nor its global file.
 * @param {Record<string, unknown>} listed what `npm config list --json` says
 * @param {NodeJS.ProcessEnv} env
 * @returns {Record<string, string>}
 */
export function settingsForPnpm(listed, env) {
  const passed = names.flatMap((name) => {
    const variable = name.replace(/-/g, '_');
    // npm leaves an address with a password out of its list, but gives every setting to the scripts it runs.
    const value = [listed[name], env[`npm_config_${variable}`]].find(isSet);
    return value === undefined ? [] : [[`pnpm_config_${variable}`, String(value)]];
  });
  return {
    pnpm_config_fetch_retries: '2',
    pnpm_config_fetch_retry_mintimeout: '1000',
    pnpm_config_fetch_retry_maxtimeout: '5000',
    pnpm_config_fetch_retry_factor: '2',
    pnpm_config_fetch_timeout: '60000',
    ...Object.fromEntries(passed),
  };
}

function isSet(value) {
  return value !== null && value !== undefined && String(value) !== '' && String(value) !== 'Infinity';
}
