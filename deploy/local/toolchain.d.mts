export declare const CLONE: string;
export declare function ensureToolchain(options: {
  log: (line: string) => void;
  signal?: AbortSignal;
  env?: NodeJS.ProcessEnv;
  dependencies?: boolean;
}): Promise<{ node: string; env: NodeJS.ProcessEnv }>;
