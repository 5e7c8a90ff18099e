type Read<T> = { running: Promise<T>; next: Promise<T> | null };

/**
 * Callers that ask for the same at the same time share one read, but only one that begins after they asked: nobody is
 * given what was true before. Those who come while a read is under way share the next one.
 */
export function createSharedReads<T>() {
  const reads = new Map<string, Read<T>>();

  function begin(key: string, read: () => Promise<T>): Promise<T> {
    const state: Read<T> = { running: read(), next: null };
    reads.set(key, state);
    const ended = () => {
      if (state.next === null) reads.delete(key);
    };
    state.running.then(ended, ended);
    return state.running;
  }

  return {
    of(key: string, read: () => Promise<T>): Promise<T> {
      const state = reads.get(key);
      if (state === undefined) return begin(key, read);
      const then = () => begin(key, read);
      state.next ??= state.running.then(then, then);
      return state.next;
    },
  };
}
