import type { RouteAccess } from '@flowstate/contracts';
import { CommandError } from '../terminal.ts';

export type ProbedRoute = { method: string; route: string };

/** Asked for without a login: with one they would end it, or open a page. */
const pages = /^\/admin\//;
const nobody = '00000000-0000-7000-8000-000000000000';
const wrong = 'limit=x&cursor=x&from=x&head=x&service=x';
const atOnce = 8;

/**
 * Sends one request to each route of the table that changes nothing and asks for nothing: reads with a query no route
 * takes, writes with a body that is no JSON, which is refused before anything is done.
 */
export async function probeRoutes(
  gateway: URL,
  table: readonly RouteAccess[],
  { token, signal }: { token: string; signal: AbortSignal },
): Promise<ProbedRoute[]> {
  const routes = table
    // A pattern that stands for many routes, such as a dashboard's files, is none itself.
    .filter(({ route }) => !route.endsWith('*'))
    .map(({ route }) => {
      const [method = 'GET', pattern = '/'] = route.split(' ');
      return { method, route: pattern };
    });
  const waiting = [...routes];

  async function ask({ method, route }: ProbedRoute): Promise<void> {
    const path = route.replaceAll(/:\w+/g, nobody);
    const reads = method === 'GET';
    const response = await fetch(new URL(reads ? `${path}?${wrong}` : path, gateway), {
      method,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(15_000)]),
      headers: {
        ...(!pages.test(route) && { authorization: `Bearer ${token}` }),
        ...(!reads && { 'content-type': 'application/json' }),
      },
      ...(!reads && { body: '{' }),
    }).catch((error: Error) => {
      signal.throwIfAborted();
      throw new CommandError(`${method} ${path} is not answered: ${error.message}`);
    });
    await response.body?.cancel();
  }

  async function work(): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await ask(next);
  }
  await Promise.all(Array.from({ length: atOnce }, work));
  return routes;
}
