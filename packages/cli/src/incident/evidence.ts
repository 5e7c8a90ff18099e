import type { AuditVerdict, IncidentEvent, RoleOwner, SessionReport } from '@flowstate/contracts';
import type { ConnectionOptions } from '../connection.ts';
import type { Terminal } from '../terminal.ts';
import type { EvidenceFolder } from './evidence-folder.ts';
import type { Redact } from './redact.ts';

/** What every part of a capture works with. */
export type Capture = {
  terminal: Terminal;
  options: ConnectionOptions & { direct?: boolean };
  folder: EvidenceFolder;
  redact: Redact;
  from: Date;
  to: Date;
  /** Id of the user it is about; undefined: everybody. */
  userId: string | undefined;
  samples: { count: number; everySeconds: number };
  /** Says what could not be had, and why; the rest goes on. */
  miss(what: string, why: string): void;
};

/** One thing that happened, from the audit log or a run's history. */
export type TimelineEntry = {
  at: string;
  source: 'audit' | 'run';
  what: string;
  who: string | null;
  to: string | null;
  outcome: string | null;
  details: Record<string, unknown> | null;
  personal: Record<string, unknown> | null;
};

/** What the parts found out, for the summary. */
export type Findings = {
  timeline: TimelineEntry[];
  sessions?: SessionReport;
  audit?: AuditVerdict;
  owners?: RoleOwner[];
  logs?: string;
};

export type RunEventsOf = (window: { from: string; to: string; principal?: string }) => AsyncIterable<IncidentEvent>;
