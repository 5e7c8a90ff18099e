/** Callers that ask for the same key at the same time share one computation, and its failure. */
export function createSingleFlight<T>() {
  const flights = new Map<string, Promise<T>>();
  return {
    join(key: string, compute: () => Promise<T>): Promise<T> {
      let flight = flights.get(key);
      if (flight === undefined) {
        flight = compute().finally(() => flights.delete(key));
        flights.set(key, flight);
      }
      return flight;
    },
  };
}
