import { randomBytes } from 'node:crypto';
import { personalHash, type AuditRow, type PersonalRow } from '@flowstate/store';
import { v7 as uuidv7 } from 'uuid';
import type { AuditEntry } from './audit.ts';

/** Details about the person who acts, and about the one acted upon: kept apart, so that they can be erased. */
const ofActor = new Set(['address', 'userAgent']);
const ofSubject = new Set(['email']);
/** Never recorded, whoever passes them. */
const secret = /password|secret|token|authorization|cookie|apikey|^key$/i;
/** What has the shape of a token is none of anybody's business, wherever it was typed: in a path, say. */
const tokens = /\b(?:fsr_[\w-]{8,}|fsk_\w{12}_[\w-]{20,}|eyJ[\w-]{8,}\.eyJ[\w.-]{8,})/g;
const maxDetails = 4_096;
const maxText = 512;

/** An entry as the log stores it: personal details apart and salted, secrets left out, sizes bounded. */
export function toAuditRow({ action, actor, subject, outcome, details = {} }: AuditEntry): AuditRow {
  const id = uuidv7();
  const who = actor === null ? null : storable(actor);
  const what = subject === undefined ? null : storable(subject);
  const plain: Record<string, unknown> = {};
  const people = new Map<string, Record<string, unknown>>();
  for (const [name, value] of Object.entries(details)) {
    if (value === undefined || value === null) continue;
    const isActors = ofActor.has(name);
    if (!isActors && !ofSubject.has(name)) {
      plain[name] = value;
      continue;
    }
    const person = (isActors ? (who ?? what) : (what ?? who)) ?? id;
    const known = people.get(person) ?? {};
    people.set(person, { ...known, [name]: typeof value === 'string' ? storable(value) : value });
  }
  return {
    id,
    action: storable(action),
    actor: who,
    subject: what,
    outcome,
    details: detailsOf(plain),
    personal: [...people].map(([person, data]) => toPersonalRow(person, data)),
  };
}

/** The entry as a log sink gets it: without personal data, which could not be erased there. */
export function toAuditLine({ id, action, actor, subject, outcome, details }: AuditRow): Record<string, unknown> {
  return { id, action, actor, subject, outcome, details: details === null ? null : (JSON.parse(details) as unknown) };
}

/** Bytes a row keeps in memory, roughly. */
export function sizeOfRow({ action, actor, subject, details, personal }: AuditRow): number {
  const texts = [action, actor, subject, details, ...personal.flatMap(({ person, data }) => [person, data])];
  return 256 + texts.reduce((sum, text) => sum + 2 * (text?.length ?? 0), 0);
}

function detailsOf(plain: Record<string, unknown>): string | null {
  if (Object.keys(plain).length === 0) return null;
  const json = JSON.stringify(plain, (name, value: unknown) =>
    secret.test(name) ? '[redacted]' : typeof value === 'string' ? value.replaceAll(tokens, '[a token]') : value,
  );
  return json.length <= maxDetails ? json : JSON.stringify({ truncated: true, bytes: json.length });
}

function toPersonalRow(person: string, values: Record<string, unknown>): PersonalRow {
  const data = JSON.stringify(values);
  const salt = randomBytes(16);
  return { person, salt, data, hash: personalHash({ person, salt, data }) };
}

/** Postgres' text holds no NUL and no half of a character. */
function storable(text: string): string {
  return text.replaceAll(tokens, '[a token]').slice(0, maxText).toWellFormed().replaceAll('\0', '\uFFFD');
}
