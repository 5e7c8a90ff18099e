/** So many things at a time; who comes when all places are taken waits in line. */
export type Slots = { run<T>(work: () => Promise<T>): Promise<T> };

export function createSlots(size: number): Slots {
  let free = size;
  const line: (() => void)[] = [];
  return {
    async run(work) {
      if (free > 0) free -= 1;
      else await new Promise<void>((enter) => line.push(enter));
      try {
        return await work();
      } finally {
        const next = line.shift();
        if (next) next();
        else free += 1;
      }
    },
  };
}
