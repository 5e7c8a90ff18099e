import { createCheck, FlowstateError, type ModelMessage, type Role, type ToolCall } from '@flowstate/contracts';
import { approvedInput } from './approval.ts';
import type { Conversation } from './conversation.ts';
import type { StepContext } from './definition.ts';
import { fencedData } from './fenced-data.ts';
import type { Evidence } from './model-agent.ts';
import { withinTime } from './time-limit.ts';
import type { Tool } from './tool.ts';

/** Bytes of JSON a model gets of one tool's answer at most: some 20,000 tokens. */
export const maxToolResultBytes = 64 * 1024;
const defaultTimeoutMs = 30_000;
/** Tries of one call, where it may be tried again. */
const attempts = 3;
/** Characters of what went wrong that a model is told. */
const maxProblem = 2_000;

/** As recorded. An effect that took place is not undone by an answer nobody can use: that is no failed step. */
type Outcome = { output: unknown } | { problem: string };

/** What a tool call came to: the message that answers it, whatever happened, and what it may be cited for. */
export type Called = { message: ModelMessage; evidence?: Evidence };

/** May the tool be called on behalf of somebody with that role? The gateway decides again at each of its calls. */
export function isAllowed(tool: Tool, role: Role): boolean {
  return tool.roles === undefined || (tool.roles as readonly string[]).includes(role);
}

/**
 * Does what a model asked for, as a step with the tool's own effect. Whatever is wrong with it becomes an answer the
 * model can act on: every call gets exactly one, or the provider would refuse the conversation from there on.
 */
export async function callTool(
  talk: Conversation,
  tools: readonly Tool[],
  call: ToolCall,
  { base, turn }: { base: string; turn: string },
): Promise<Called> {
  const answer = (text: string): ModelMessage => ({ role: 'tool', callId: call.id, tool: call.tool, text });
  const refused = (problem: string): Called => ({ message: answer(`Error: ${problem.slice(0, maxProblem)}`) });

  const tool = tools.find(({ name }) => name === call.tool);
  if (tool === undefined) {
    return refused(`there is no such tool. There is: ${tools.map(({ name }) => name).join(', ') || 'none'}`);
  }
  if (!isAllowed(tool, talk.role)) return refused(`it may not be called on behalf of the role ${talk.role}`);
  let input: unknown;
  try {
    input = createCheck(tool.input, { root: 'input' })(structuredClone(call.input));
  } catch (error) {
    return refused((error as Error).message);
  }
  const step = `${base}/tool#${turn}`;
  let changed = false;
  if (tool.approval === true) {
    const decided = await approvedInput(talk, tool, input, { base, turn, step });
    if ('refused' in decided) return refused(decided.refused);
    ({ input, changed } = decided);
  }

  const outcome = await runTool(talk, tool, input, step);
  if ('problem' in outcome) return refused(outcome.problem);
  const { output } = outcome;
  const told = changed ? { inputAsApproved: input, output } : output;
  return { message: answer(fencedData(tool.name, told)), evidence: { tool: tool.name, input, output } };
}

/**
 * A tool that fails for good leaves what it failed of as its result. As a failed step the run could not be retried from
 * where it really failed: what the model made of the failure would be on record, and the failure itself be gone.
 */
async function runTool(talk: Conversation, tool: Tool, input: unknown, step: string): Promise<Outcome> {
  const { runId, backend } = talk;
  const { effect, timeoutMs: ms = defaultTimeoutMs } = tool;
  // Whether an unsafe effect took place in time is for a person to say: the step parks the run.
  const unsafe = effect === 'unsafe';

  async function once({ signal, idempotencyKey, attempt }: StepContext): Promise<Outcome> {
    const run = (own: AbortSignal) =>
      tool.run({ runId, signal: own, backend: (request, its = own) => backend(request, its), idempotencyKey }, input);
    const late = new FlowstateError('timeout', `${tool.name} took longer than ${ms} ms`);
    try {
      return usable(tool, await (unsafe ? run(signal) : withinTime({ signal, ms, late }, run)));
    } catch (error) {
      // Nobody knows whether it took effect: a person finds out.
      if (unsafe && error instanceof FlowstateError && error.code === 'timeout') throw error;
      const final = unsafe || attempt >= attempts || (error instanceof FlowstateError && !error.retryable);
      if (signal.aborted || !final) throw error;
      return { problem: error instanceof Error ? error.message : String(error) };
    }
  }

  const retry = { attempts, backoffMs: 200, maxBackoffMs: 5_000 };
  const recorded: unknown = await talk.step(step, once, { effect, retry, ...(unsafe && { timeoutMs: ms }) });
  // A person who settles a parked run says only what the effect came to.
  return isOutcome(recorded) ? recorded : usable(tool, recorded);
}

function usable(tool: Tool, output: unknown): Outcome {
  let json: string;
  try {
    json = JSON.stringify(output ?? null);
    createCheck(tool.output, { root: 'output' })(JSON.parse(json));
  } catch (error) {
    return { problem: `it answered something that is not of its schema: ${(error as Error).message}` };
  }
  const bytes = Buffer.byteLength(json);
  if (bytes <= maxToolResultBytes) return { output: JSON.parse(json) as unknown };
  return { problem: `its answer is ${bytes} bytes as JSON, over ${maxToolResultBytes}: ask for less` };
}

function isOutcome(value: unknown): value is Outcome {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  return keys.length === 1 && (keys[0] === 'output' || keys[0] === 'problem');
}
