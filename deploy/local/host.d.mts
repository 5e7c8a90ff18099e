import type { SpawnOptions } from 'node:child_process';

export declare class Advice extends Error {}
export declare class NoSpace extends Advice {}
export declare function explain(error: unknown): string;
export declare const NEEDED_BYTES: number;
export declare function cacheDir(env: NodeJS.ProcessEnv, clone: string): string;
export declare function isRoot(): boolean;
export declare function openToAll(dir: string): boolean;
export declare function assertFreeSpace(dir: string, purpose: string): void;
export declare function processStart(pid: number): string | undefined;
export declare function isAlive(process: { pid: number; start: string | undefined }): boolean;
export declare function tryLock(path: string): { release: () => void } | { holder: number };
export declare function withLock<T>(
  path: string,
  options: { signal?: AbortSignal | undefined; onWait?: ((pid: number) => void) | undefined },
  work: () => Promise<T>,
): Promise<T>;
export declare function run(
  command: string,
  args: readonly string[],
  options?: Omit<SpawnOptions, 'stdio' | 'detached' | 'signal'> & {
    signal?: AbortSignal | undefined;
    input?: string;
    record?: string;
  },
): Promise<{ code: number; stdout: string; stderr: string }>;
export declare function endRecorded(record: string): Promise<void>;
export declare function removeFolder(dir: string): void;
