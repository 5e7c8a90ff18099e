import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import type {
  ImportCounts,
  ImportEntity,
  ImportLine,
  ImportMapping,
  ImportSummary,
  Problem,
} from '@flowstate/contracts';
import { describeProblem, isBrokenOff, type GatewayClient } from './gateway-client.ts';
import type { ImportReport } from './import-report.ts';
import { jsonLines } from './json-lines.ts';
import { CommandError, exitCodes } from './terminal.ts';

const contentTypes: Record<string, string> = {
  '.csv': 'text/csv',
  '.tsv': 'text/csv',
  '.txt': 'text/csv',
  '.ndjson': 'application/x-ndjson',
  '.jsonl': 'application/x-ndjson',
  '.json': 'application/json',
};

export type ImportRequest = {
  entity: ImportEntity;
  file: string;
  mapping: ImportMapping;
  dryRun: boolean;
  /** Of CSV and NDJSON; UTF-8 unless said otherwise. */
  encoding?: string | undefined;
};

/** Sends a file as it is read and reports what becomes of its rows as the gateway says it. */
export async function importFile(
  client: GatewayClient,
  request: ImportRequest,
  report: ImportReport,
): Promise<ImportSummary> {
  const { entity, file, mapping, dryRun, encoding } = request;
  const extension = extname(file).toLowerCase();
  const type = contentTypes[extension];
  if (type === undefined) {
    throw new CommandError(`${file} must end in ${Object.keys(contentTypes).join(', ')}`, exitCodes.usage);
  }
  const query = new URLSearchParams({ entity });
  const ours = extension === '.tsv' ? { delimiter: '\t' as const, ...mapping } : mapping;
  if (Object.keys(ours).length > 0) query.set('mapping', JSON.stringify(ours));
  if (dryRun) query.set('dryRun', 'true');
  const answer = await client.stream('POST', `/api/import?${query.toString()}`, {
    body: await bytesOf(file),
    headers: {
      'content-type': encoding === undefined ? type : `${type}; charset=${encoding}`,
      accept: 'application/x-ndjson',
    },
  });
  const brokenOff = new CommandError(
    `The connection broke off while ${file} was imported; importing it again is safe.`,
  );
  try {
    for await (const line of jsonLines<ImportLine>(answer)) {
      if ('line' in line) report.rejected(line);
      else if ('error' in line) throw endedEarly(file, line);
      else if ('entity' in line) return line;
      else report.progress(line.progress);
    }
  } catch (error) {
    throw isBrokenOff(error) ? brokenOff : error;
  }
  throw brokenOff;
}

function endedEarly(file: string, { error, progress }: { error: Problem; progress: ImportCounts }): CommandError {
  const stored = progress.inserted + progress.updated;
  return new CommandError(
    `The import of ${file} ended early: ${describeProblem(error)}\n` +
      `${stored} rows were stored before that; importing the file again is safe.`,
  );
}

async function bytesOf(file: string): Promise<ReadableStream<Uint8Array>> {
  try {
    // Whatever is wrong with the file shows before anything is sent.
    const handle = await open(file);
    if ((await handle.stat()).isDirectory()) {
      await handle.close();
      throw new Error(`${file} is a folder`);
    }
    return Readable.toWeb(handle.createReadStream()) as ReadableStream<Uint8Array>;
  } catch (error) {
    throw new CommandError((error as Error).message, exitCodes.usage);
  }
}
