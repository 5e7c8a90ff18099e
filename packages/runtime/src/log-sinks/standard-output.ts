import { pino, type DestinationStream } from 'pino';
import { readableLine } from '../log-lines.ts';

/** JSON lines for machines; readable ones only where a person looks at a terminal. */
export function standardOutput(
  service: string,
  stdout: Pick<NodeJS.WriteStream, 'write'> & { isTTY?: boolean } = process.stdout,
): DestinationStream {
  if (stdout.isTTY !== true) return pino.destination(1);
  return { write: (line) => void stdout.write(`${readableLine(service, line.trimEnd(), { colour: true })}\n`) };
}
