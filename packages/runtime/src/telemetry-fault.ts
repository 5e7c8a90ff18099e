import { exportTally } from './export-tally.ts';
import { telemetryNews } from './telemetry-news.ts';

/** No spans are sent, and why. */
export function telemetryFault(fault: string): void {
  exportTally.fault = fault;
  telemetryNews('warn', `no traces: ${fault}`);
}
