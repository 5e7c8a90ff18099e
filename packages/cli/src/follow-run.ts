import { isTerminal, type Run, type RunEvent, type RunProgress } from '@flowstate/contracts';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { isBrokenOff, type GatewayClient } from './gateway-client.ts';

export type RunNews = RunEvent | RunProgress;

/**
 * Waits until a run is over and gives it back; everything that happens in it is told as it happens. A stream that ends
 * early (the gateway restarts, the token expires) is taken up where it was.
 */
export async function followRun(client: GatewayClient, id: string, tell: (news: RunNews) => void): Promise<Run> {
  let lastId: string | undefined;
  for (;;) {
    const headers = lastId === undefined ? {} : { 'last-event-id': lastId };
    const body = await client.stream('GET', `/api/runs/${id}/events`, { headers });
    try {
      for await (const event of body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())) {
        lastId = event.id ?? lastId;
        if (event.event !== 'reauth') tell(JSON.parse(event.data) as RunNews);
      }
    } catch (error) {
      if (!isBrokenOff(error)) throw error;
    }
    const run = await client.request<Run>('GET', `/api/runs/${id}`);
    if (isTerminal(run.state)) return run;
  }
}

/** One line about an event: when it was, counted from `begin` (ms), what, and which step. */
export function describeNews({ type, at, data }: RunNews, begin: number): string {
  const step = typeof data.name === 'string' ? data.name : '';
  return `+${String(Date.parse(at) - begin).padStart(6)} ms  ${type.padEnd(15)} ${step}`.trimEnd();
}
