import { rowsOf } from './evidence.ts';
import type { ReportFacts } from './report-facts.ts';
import { figure, quote, say, type Figure, type Statement } from './statement.ts';

const shown = 5;

/** How the customer feels and how that changed. */
export function mood({ customerId, interaction }: ReportFacts): Statement[] {
  const { recent, previous, trend, mostNegative } = interaction.sentiment;
  if (recent.mean === null) return [say`No message of the last thirty days tells a mood.`];
  const now = figure(
    'mean sentiment of the last thirty days',
    recent.mean,
    'score',
    rowsOf('interaction', recent.ids, customerId),
  );
  const statements: Statement[] = [];
  if (previous.mean === null || trend === 'unknown') {
    statements.push(say`Sentiment is ${now}; there are too few messages for a trend.`);
  } else {
    const rows = rowsOf('interaction', previous.ids, customerId);
    const before = figure('mean sentiment of the ninety days before', previous.mean, 'score', rows);
    statements.push(say`Sentiment is ${trend}: ${now} in the last thirty days, ${before} in the ninety before.`);
  }
  for (const { id, score, excerpt } of mostNegative.slice(0, 1)) {
    const low = figure(
      'sentiment of the unhappiest recent message',
      score,
      'score',
      rowsOf('interaction', [id], customerId),
    );
    statements.push(say`The unhappiest recent message (${low}): ${quote(excerpt)}`);
  }
  return statements;
}

/** Who wrote last, and when. */
export function contact({ customerId, interaction: { silence } }: ReportFacts): Statement[] {
  if (silence.last === null) return [say`No interaction is on record.`];
  const ago = (label: string, { id, days }: { id: string; days: number }): Figure =>
    figure(label, days, 'days', rowsOf('interaction', [id], customerId));
  const last = ago('days since the last contact in either direction', silence.last);
  if (silence.lastOutbound === null) return [say`The last contact was ${last} ago; nothing we sent is on record.`];
  const ours = ago('days since our last message', silence.lastOutbound);
  return [say`The last contact was ${last} ago, our last message ${ours} ago.`];
}

/** Open questions with what the knowledge base says to them. */
export function questions(facts: ReportFacts): Statement[] {
  const { customerId, interaction, knowledge } = facts;
  const { count, ids, items } = interaction.openQuestions;
  if (count === 0) return [say`No question is open.`];
  const all = figure('open questions', count, 'count', rowsOf('interaction', ids, customerId));
  const statements = [say`Open questions: ${all}.`];
  for (const { id, question, days, channel } of items.slice(0, shown)) {
    const waited = figure('days this question has waited', days, 'days', rowsOf('interaction', [id], customerId));
    statements.push(say`${quote(question)}, asked by ${channel}, open for ${waited}.`);
    const answer = knowledge.issues.find((issue) => issue.kind === 'question' && issue.ids.includes(id));
    if (answer !== undefined) statements.push(citationOf(answer));
  }
  return statements;
}

/** What the customer writes about. */
export function topics({ customerId, interaction, knowledge }: ReportFacts): Statement[] {
  if (interaction.topics.length === 0) return [say`No known topic occurs in the messages.`];
  return interaction.topics.slice(0, shown).flatMap(({ topic, label, messages, ids, negativeIds, example }) => {
    const all = figure(`messages about ${label}`, messages, 'count', rowsOf('interaction', ids, customerId));
    if (negativeIds.length === 0) return [say`Messages about ${label}: ${all}, none of them unhappy.`];
    const bad = figure(
      `unhappy messages about ${label}`,
      negativeIds.length,
      'count',
      rowsOf('interaction', negativeIds, customerId),
    );
    const answer = knowledge.issues.find((issue) => issue.kind === 'topic' && issue.topic === topic);
    const said = say`Messages about ${label}: ${all}, unhappy: ${bad}, as in ${quote(example.text)}.`;
    return answer === undefined ? [said] : [said, citationOf(answer)];
  });
}

/** How fast the customer is answered. */
export function service({ customerId, interaction: { response } }: ReportFacts): Statement[] {
  const { recent } = response;
  if (recent.medianHours === null || recent.p90Hours === null)
    return [say`No message of the last thirty days has been answered yet.`];
  const rows = rowsOf('interaction', recent.ids, customerId);
  const median = figure('median response time of the last thirty days', recent.medianHours, 'hours', rows);
  const slow = figure('response time nine in ten replies kept to', recent.p90Hours, 'hours', rows);
  return [say`Half of the replies of the last thirty days came within ${median}, nine in ten within ${slow}.`];
}

function citationOf(issue: ReportFacts['knowledge']['issues'][number]): Statement {
  const [best] = issue.citations;
  if (best === undefined) return say`To ${quote(issue.text)} nothing relevant was found in the knowledge base.`;
  const title = best.title ?? best.externalId ?? best.documentId;
  const evidence = { kind: 'document' as const, ids: [best.documentId] };
  const similar = figure('similarity of document and issue', best.similarity, 'similarity', evidence);
  return say`The knowledge base says in ${quote(title)} (similarity ${similar}): ${quote(best.quote, 240)}`;
}
