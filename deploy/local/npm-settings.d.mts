export declare function settingsForPnpm(
  listed: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
): Record<string, string>;
