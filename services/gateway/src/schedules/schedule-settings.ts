import {
  checkNumbers,
  FlowstateError,
  invalidInput,
  nextTime,
  recurrenceErrors,
  storableErrors,
  type Principal,
  type ScheduleBody,
  type SchedulePatch,
} from '@flowstate/contracts';
import type { ScheduleSettings, StoredSchedule } from '@flowstate/store';
import { checkEntityReferences, type EntityLookup } from '../runs/entity-references.ts';
import type { WorkflowCatalogue } from '../runs/workflow-catalogue.ts';

/** Of a schedule's input as JSON: one transaction writes the input of many runs. */
const maxInputBytes = 256 * 1024;

/** A new schedule's settings as asked for, what was left out being the default. Throws `invalid_input`. */
export function fromBody(body: ScheduleBody, owner: Principal, now: Date): ScheduleSettings {
  return {
    ownerId: owner.id,
    name: body.name ?? null,
    workflow: body.workflow,
    input: inputText(body.input),
    cron: body.cron ?? null,
    everyMs: body.everyMs ?? null,
    timezone: body.timezone ?? 'UTC',
    missed: body.missed ?? 'run-once',
    overlap: body.overlap ?? 'allow',
    priority: body.priority ?? 5,
    tags: body.tags ?? [],
    startAt: toTime(body.startAt),
    endAt: toTime(body.endAt),
    enabled: body.enabled ?? true,
    nextAt: null,
    createdAt: now,
  };
}

/** A schedule's settings after an edit; a `cron` takes the place of `everyMs`, and the other way round. Throws `invalid_input`. */
export function fromPatch(stored: StoredSchedule, patch: SchedulePatch, ownerId: string): ScheduleSettings {
  const merged = { ...stored, ...patch };
  return {
    ownerId,
    name: merged.name,
    workflow: merged.workflow,
    // What is stored was checked when it came.
    input: patch.input === undefined ? JSON.stringify(stored.input) : inputText(patch.input),
    cron: patch.everyMs === undefined ? merged.cron : (patch.cron ?? null),
    everyMs: patch.cron === undefined ? merged.everyMs : (patch.everyMs ?? null),
    timezone: merged.timezone,
    missed: merged.missed,
    overlap: merged.overlap,
    priority: merged.priority,
    tags: merged.tags,
    startAt: toTime(merged.startAt),
    endAt: toTime(merged.endAt),
    enabled: merged.enabled,
    nextAt: null,
    createdAt: new Date(stored.createdAt),
  };
}

function inputText(input: unknown): string {
  checkNumbers(input, 'input');
  return JSON.stringify(input);
}

/**
 * Settings that can fire, with the time they first will. Throws `invalid_input` naming each field that keeps them from
 * it: an unknown workflow, an input that does not fit it, a cron that never fires.
 */
export async function checkSettings(
  settings: ScheduleSettings,
  principal: Principal,
  now: Date,
  { catalogue, entities }: { catalogue: WorkflowCatalogue; entities: EntityLookup },
): Promise<ScheduleSettings> {
  const { name, workflow, tags } = settings;
  const errors = [...storableErrors({ name, workflow, tags }, '').map(withoutDot), ...recurrenceErrors(settings, now)];
  if (settings.input.length > maxInputBytes) {
    errors.push({ field: 'input', message: `is over ${maxInputBytes} bytes` });
  }
  if (errors.length > 0) throw invalidInput(errors);
  await checkInput(settings, principal, catalogue, entities);
  return { ...settings, nextAt: settings.enabled ? nextTime(settings, now) : null };
}

async function checkInput(
  { workflow: name, input: json }: ScheduleSettings,
  principal: Principal,
  catalogue: WorkflowCatalogue,
  entities: EntityLookup,
): Promise<void> {
  const workflow = await catalogue.get(name).catch((error: unknown) => {
    throw isNotFound(error) ? invalidInput([{ field: 'workflow', message: 'does not exist' }]) : error;
  });
  const input = workflow.checkInput(JSON.parse(json));
  try {
    await checkEntityReferences(workflow.input, input, principal.role, entities);
  } catch (error) {
    // Here it is a field of the body that is wrong, and nothing of the path.
    throw isNotFound(error) && error.errors ? invalidInput(error.errors) : error;
  }
}

function isNotFound(error: unknown): error is FlowstateError {
  return error instanceof FlowstateError && error.code === 'not_found';
}

function toTime(text: string | null | undefined): Date | null {
  return text === null || text === undefined ? null : new Date(text);
}

function withoutDot({ field, message }: { field: string; message: string }) {
  return { field: field.replace(/^\./, ''), message };
}
