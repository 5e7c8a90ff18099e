/** Undoes what was set up, last first: the part of a tap test that the shared test support asks for. */
export type Cleanup = {
  teardown(undo: () => unknown): void;
  run(): Promise<void>;
};

export function createCleanup(): Cleanup {
  const undos: (() => unknown)[] = [];
  return {
    teardown: (undo) => void undos.push(undo),
    async run() {
      for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) await undo();
    },
  };
}
