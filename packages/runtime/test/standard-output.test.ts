import t from 'tap';
import { standardOutput } from '../src/log-sinks/standard-output.ts';

const line =
  '{"level":"warn","time":"2026-01-31T18:00:00.000Z","service":"worker","msg":"run handed back","runId":"r"}\n';

t.test('readable only on a terminal', async (t) => {
  const seen: string[] = [];
  const write = (text: string) => seen.push(text) > 0;
  standardOutput('worker', { isTTY: true, write }).write(line);
  t.match(seen, [/worker.*WARN.*run handed back.*runId=r/]);
  t.notMatch(seen.join(''), /^\{/);
  standardOutput('worker', { isTTY: false, write });
  t.equal(seen.length, 1, 'else the lines go out as they are, by a stream of pino');
});
