import { approvalSignal, createCheck, DecisionSignal } from '@flowstate/contracts';
import Type from 'typebox';
import type { Conversation } from './conversation.ts';
import type { ReceivedSignal } from './definition.ts';
import type { Tool } from './tool.ts';

const checkDecision = createCheck(DecisionSignal, { root: 'data' });

const Asked = Type.Object({ id: Type.String() });

type Names = { base: string; turn: string; /** The step that will call the tool. */ step: string };
type Decided = { input: unknown; changed: boolean } | { refused: string };

/**
 * Asks a person whether the tool may be called, through the gateway, which lists what waits and checks what is answered.
 * What is asked is on record as the result of step `<name>/approval#k.j`; the run then waits without a worker for the
 * signal named there. Data that is no decision decides nothing.
 */
export async function approvedInput(talk: Conversation, tool: Tool, input: unknown, names: Names): Promise<Decided> {
  const step = talk.prefix + names.step;
  const signal = approvalSignal(step);
  const { name, description, input: inputSchema } = tool;
  await talk.step(`${names.base}/approval#${names.turn}`, async ({ signal: aborted }) => {
    const body = { step, tool: name, input, inputSchema };
    const request = { operation: 'approvals.ask', method: 'POST', path: '/api/approvals', body } as const;
    const { id: approval } = await talk.backend({ ...request, response: Asked }, aborted);
    return { approval, signal, tool: name, description, input };
  });
  for (let n = 1; ; n++) {
    const again = n === 1 ? '' : `.${n}`;
    const name = `${names.base}/approved#${names.turn}${again}`;
    const received = (await talk.wait({ kind: 'signal', name, signal, approval: true })) as ReceivedSignal;
    const decided = read(tool, input, received);
    if (decided !== null) return decided;
  }
}

function read(tool: Tool, input: unknown, { data }: ReceivedSignal): Decided | null {
  try {
    const { decision, input: edited, reason } = checkDecision(data);
    if (decision === 'refuse') return { refused: `a person refused this call${reason ? `: ${reason}` : ''}` };
    if (decision === 'approve') return { input, changed: false };
    return { input: createCheck(tool.input, { root: 'input' })(structuredClone(edited)), changed: true };
  } catch {
    return null;
  }
}
