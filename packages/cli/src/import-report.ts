import { createWriteStream, type WriteStream } from 'node:fs';
import type { ImportCounts, ImportRejection, ImportSummary } from '@flowstate/contracts';
import { CommandError, exitCodes, type Terminal } from './terminal.ts';

export type ImportReport = {
  progress(counts: ImportCounts): void;
  /** One row that did not go in. */
  rejected(rejection: ImportRejection): void;
  summary(file: string, summary: ImportSummary): void;
  /** Everything is written. */
  close(): Promise<void>;
};

const number = new Intl.NumberFormat('en');

/** Tells on stderr how an import goes, on stdout what became of it; rejected rows go to `rejectsFile` when given. */
export async function createImportReport({ stderr, stdout }: Terminal, rejectsFile?: string): Promise<ImportReport> {
  const rejects = rejectsFile === undefined ? undefined : await openForWriting(rejectsFile);
  let isLineOpen = false;

  /** The progress line of a terminal is written over by what comes next. */
  function say(text: string): void {
    stderr.write(`${isLineOpen ? '\r\x1b[K' : ''}${text}\n`);
    isLineOpen = false;
  }

  return {
    progress(counts) {
      const text = `  ${describeCounts(counts)} …`;
      if (!stderr.isTTY) return say(text);
      stderr.write(`\r\x1b[K${text}`);
      isLineOpen = true;
    },
    rejected(rejection) {
      if (rejects) {
        rejects.write(`${JSON.stringify(rejection)}\n`);
        return;
      }
      const name = rejection.externalId === undefined ? '' : ` (${rejection.externalId})`;
      const why = rejection.errors.map(({ field, message }) => `${field} ${message}`).join('; ');
      say(`  line ${rejection.line}${name}: ${why}`);
    },
    summary(file, summary) {
      if (isLineOpen) stderr.write('\r\x1b[K');
      isLineOpen = false;
      const { entity, dryRun, reasons, rejected, runs } = summary;
      stdout.write(`${file} → ${entity}${dryRun ? ' (dry run, nothing was kept)' : ''}: ${describeCounts(summary)}\n`);
      for (const { field, message, count } of reasons) {
        stdout.write(`  ${number.format(count)} × ${field} ${message}\n`);
      }
      if (rejected > 0 && rejectsFile !== undefined) stdout.write(`  rejected rows: ${rejectsFile}\n`);
      if (runs.length > 0) stdout.write(`  being embedded by ${runs.length} runs, the last is ${runs.at(-1)}\n`);
    },
    close: async () => {
      if (rejects) await new Promise((resolve) => rejects.end(resolve));
    },
  };
}

function describeCounts({ rows, inserted, updated, unchanged, rejected }: ImportCounts): string {
  const parts = { new: inserted, updated, unchanged, rejected };
  const text = Object.entries(parts).map(([name, count]) => `${number.format(count)} ${name}`);
  return `${number.format(rows)} rows, ${text.join(', ')}`;
}

async function openForWriting(file: string): Promise<WriteStream> {
  const stream = createWriteStream(file);
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (error) => reject(new CommandError(`--rejects: ${error.message}`, exitCodes.usage)));
  });
  return stream;
}
