import { withLogContext } from '@flowstate/runtime';
import type { ClaimedRun } from '@flowstate/store';
import { addSpan, inRootSpan, isTracing } from '@flowstate/tracing';

/** Earlier steps that a resumed run is linked to at most, the last ones. */
const mostLinks = 16;

/**
 * Works on a run as part of the trace of the request that started it, however often and wherever it is gone on with:
 * each stay on a worker is a span of its own, linked to the steps whose recorded results it goes on from.
 * @param askedAt when it was asked for in the ledger, in milliseconds since 1970
 */
export function inRunSpan<T>(run: ClaimedRun, askedAt: number, work: () => Promise<T>): Promise<T> {
  const { id, workflow, version, queue, trace, resumed, attempt, crashes, readyAt, startedAt } = run;
  const logged = { runId: id, principal: run.principalId };
  if (!isTracing()) return withLogContext(logged, work);
  const attributes = {
    'messaging.system': 'bullmq',
    'messaging.operation.type': 'process',
    'messaging.destination.name': queue,
    'flowstate.run.id': id,
    'flowstate.workflow.name': workflow,
    'flowstate.workflow.version': version,
    'flowstate.run.attempt': attempt,
    'flowstate.run.resumed': resumed,
    'flowstate.run.crashes': crashes,
    ...(!resumed && { 'flowstate.run.queued_ms': Math.max(0, startedAt.getTime() - readyAt.getTime()) }),
  };
  const links = run.events.map(({ data }) => data.trace).filter((link) => typeof link === 'string');
  const options: Parameters<typeof inRootSpan>[1] = {
    kind: 'CONSUMER',
    attributes,
    parent: trace,
    links: links.slice(-mostLinks),
    startedAt: askedAt,
  };
  return withLogContext(logged, () =>
    inRootSpan(`process ${workflow}`, options, () => {
      const claim = { 'db.system.name': 'postgresql', 'db.query.summary': 'UPDATE run_live' };
      addSpan('UPDATE run_live', { kind: 'CLIENT', attributes: claim }, askedAt, Date.now());
      return work();
    }),
  );
}
