/** Works through `items`, `count` at a time. */
export async function inLanes<T>(items: Iterable<T>, count: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items[Symbol.iterator]();
  async function lane(): Promise<void> {
    for (let next = waiting.next(); next.done !== true; next = waiting.next()) await work(next.value);
  }
  await Promise.all(Array.from({ length: count }, lane));
}
