let turn: Promise<void> | undefined;

/**
 * One for all reads: those that begin together leave by one write to the socket. Turns, in fact: in the second one come
 * those who ask again upon the answers of the first (measured, 8 askers at a time: 210 → 180 µs of CPU a request).
 */
function endOfTurn(): Promise<void> {
  turn ??= new Promise((resolve) => {
    setImmediate(() =>
      setImmediate(() => {
        turn = undefined;
        resolve();
      }),
    );
  });
  return turn;
}

/**
 * Callers that ask for the same at the same time share one read, but only one that begins after they asked: nobody is
 * given what was true before. It begins at the end of the turn of the event loop, for all who ask in that turn; those
 * who come while it is under way share the next one.
 */
export function createSharedReads<T>() {
  const running = new Map<string, Promise<T>>();
  const waiting = new Map<string, Promise<T>>();

  async function next(key: string, read: () => Promise<T>): Promise<T> {
    await running.get(key)?.catch(() => {});
    await endOfTurn(); // whoever was just answered may ask again
    waiting.delete(key); // from here on it is too late to join
    const begun = read();
    running.set(key, begun);
    try {
      return await begun;
    } finally {
      if (running.get(key) === begun) running.delete(key);
    }
  }

  return {
    of(key: string, read: () => Promise<T>): Promise<T> {
      let joined = waiting.get(key);
      if (joined === undefined) {
        joined = next(key, read);
        waiting.set(key, joined);
      }
      return joined;
    },
  };
}
