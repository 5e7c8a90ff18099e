/** What a command reads from and writes to. Results go to `stdout`, everything said along the way to `stderr`. */
export type Terminal = {
  env: NodeJS.ProcessEnv;
  /** Written by `npm start` in this clone; may be missing. */
  localEnvFile: string;
  stdin: NodeJS.ReadableStream & AsyncIterable<Uint8Array> & { isTTY?: boolean };
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream & { isTTY?: boolean };
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
};

/** 0: done. */
export const exitCodes = {
  /** It was tried and failed: a run that did not complete, a gateway that refused or is away. */
  failed: 1,
  /** The command itself was wrong. */
  usage: 2,
  /** Imported, but rows were rejected, and `--strict` asked to hear of it. */
  rejected: 3,
  interrupted: 130,
} as const;

/** Ends a command with one clear line and an exit code; no stack is shown. */
export class CommandError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}
