import type { ConnectionOptions } from '../connection.ts';
import { processUses, type ProcessUse } from '../metrics/process-use.ts';
import { readTwice } from '../metrics/two-readings.ts';
import type { Terminal } from '../terminal.ts';
import { verdictOf, type Finding } from './decision-tree.ts';
import type { Verdict } from './verdict.ts';

/** An event loop that uses more of its one core answers late. */
const mostCores = 0.9;
/** A heap that is fuller collects garbage instead of working. */
const mostHeap = 0.85;

const mebibytes = (bytes: number) => `${Math.round(bytes / 1_048_576)} MiB`;

/** Is a process bound by its CPU or short of memory: then more replicas or larger limits. */
export async function checkResources(
  options: ConnectionOptions,
  { seconds }: { seconds: number },
  terminal: Terminal,
): Promise<Verdict> {
  const watched = await readTwice(options, seconds, terminal);
  const findings: Finding[] = [
    ...watched.unread.map(({ url, why }) => ({ step: `metrics of ${url}`, ok: false, seen: why })),
    ...processUses(watched, seconds).flatMap((use) => [cpuOf(use), memoryOf(use)]),
  ];
  return verdictOf(`${watched.readings.length} processes have CPU and memory to spare`, findings);
}

function cpuOf({ service, host, cores }: ProcessUse): Finding {
  return {
    step: `CPU of ${service} (${host})`,
    ok: cores <= mostCores,
    seen: `${cores.toFixed(2)} of the one core an event loop can use`,
    knob: `more replicas (flowstate scale propose); where the container has less than a core, raise ${service}.resources.limits.cpu and restart`,
  };
}

function memoryOf({ service, host, residentBytes, heapUsedBytes, heapLimitBytes }: ProcessUse): Finding {
  const limit = heapLimitBytes ?? Number.POSITIVE_INFINITY;
  return {
    step: `memory of ${service} (${host})`,
    ok: heapUsedBytes <= limit * mostHeap,
    seen: `${mebibytes(residentBytes)} resident, heap ${mebibytes(heapUsedBytes)} of ${heapLimitBytes === null ? 'unknown' : mebibytes(heapLimitBytes)}`,
    knob: `raise ${service}.resources.limits.memory and with it NODE_OPTIONS=--max-old-space-size (deploy/capacity.md has the figures), restart`,
  };
}
