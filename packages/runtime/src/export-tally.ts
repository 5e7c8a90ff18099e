/** How exporting goes; all zero where telemetry is off. */
export type ExportTally = {
  enabled: boolean;
  endpoint: string;
  /** Why it is not on although it was wanted; empty when nothing is wrong. */
  fault: string;
  /** Spans that wait, or are on their way. */
  waiting: number;
  capacity: number;
  sent: number;
  dropped: { queue_full: number; export_failed: number };
  /** Milliseconds since 1970; null: not yet. */
  lastSentAt: number | null;
  /** What the last export failed with; null when it did not. */
  trouble: string | null;
};

/** What this process exported. One for the process, like telemetry itself, which starts before any service does. */
export const exportTally: ExportTally = {
  enabled: false,
  endpoint: '',
  fault: '',
  waiting: 0,
  capacity: 0,
  sent: 0,
  dropped: { queue_full: 0, export_failed: 0 },
  lastSentAt: null,
  trouble: null,
};
