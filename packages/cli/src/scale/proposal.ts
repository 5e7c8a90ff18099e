import type { ScalingState, ScalingStatus } from '@flowstate/contracts';
import { connectionsPerGateway, desiredGateways, gatewayPolicy } from '@flowstate/scaling';
import type { CapacityInputs } from './capacity-inputs.ts';

/** What is proposed for one service, with the arithmetic it came from. */
export type Proposal = { of: string; running: number | null; proposed: number | null; because: string };

/** Replicas of the gateway, and workers by queue. */
export function propose({ api, processes, gatewaysLive, queues }: CapacityInputs): Proposal[] {
  const gateways = processes.filter(({ service }) => service === 'gateway');
  const cores = gateways.reduce((sum, use) => sum + use.cores, 0);
  const { gateways: proposed, byCpu, requestsPerCore } = desiredGateways({ cores, ...api });
  const { min, max, utilisation } = gatewayPolicy;
  const share = requestsPerCore === null ? '' : `; ${requestsPerCore.toFixed(0)} requests/s a core`;
  const unseen = gateways.length < gatewaysLive ? `; ${gatewaysLive - gateways.length} live ones were not read` : '';
  return [
    {
      of: 'gateway',
      running: gatewaysLive,
      proposed,
      because:
        `⌈${cores.toFixed(2)} cores in use / (1 core · ${utilisation})⌉ = ${byCpu}, within ${min} and ${max}${share}` +
        `; ${proposed} × ${connectionsPerGateway} Postgres connections${unseen}`,
    },
    ...queues.map(workersFor),
  ];
}

function workersFor({ queue, state, problem }: ScalingStatus): Proposal {
  const of = `worker (${queue})`;
  if (state === null) return { of, running: null, proposed: null, because: problem ?? 'nothing is decided' };
  return { of, running: state.liveWorkers, proposed: state.desired, because: arithmetic(state) };
}

/** The decision's formula with its numbers. */
function arithmetic(state: ScalingState): string {
  const { load, arrivalPerSecond, serviceSeconds, concurrency, policy, connections } = state;
  const waiting = state.paused ? 0 : state.waiting;
  const [a, s] = [arrivalPerSecond.toFixed(2), (serviceSeconds ?? 0).toFixed(2)];
  return (
    `max(⌈${load} / (${concurrency}·${policy.utilisation})⌉ = ${state.byLoad}, ` +
    `⌈(${a}·${s} + ${waiting}·${s} / ${policy.waitGoalSeconds}) / ${concurrency}⌉ = ${state.byLatency}), ` +
    `within ${policy.min} and ${policy.max} and ⌊${connections.budget} / ${connections.perWorker}⌋ by connections: ` +
    `${state.desired} (${state.reason})`
  );
}
