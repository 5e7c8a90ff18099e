/** One dependency as `/ready` names it. */
export type Check = { name: string; ok: boolean; latencyMs: number; detail?: string };

const deadlineMs = 2_000;

/** Runs one dependency's check; whatever hangs longer than two seconds is down. */
export async function timedCheck(name: string, work: () => PromiseLike<unknown>): Promise<Check> {
  const begun = performance.now();
  const latency = () => Math.round(performance.now() - begun);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error('no answer in time')), deadlineMs);
  try {
    await Promise.race([work(), late]);
    return { name, ok: true, latencyMs: latency() };
  } catch (error) {
    return { name, ok: false, latencyMs: latency(), detail: (error as Error).message };
  } finally {
    clearTimeout(timer);
  }
}
