import { insertUser } from '@flowstate/store';
import { roles, type Role } from '@flowstate/contracts';
import { createRandom } from '@flowstate/test';
import t from 'tap';
import { issueAccessToken } from '../src/tokens.ts';
import { managed, mayFeed, readable, sees, type AccessModel, type Person } from './fixtures/access-model.ts';
import { createGatewayFixture } from './fixtures/gateway-fixture.ts';
import { addRun, addWorker } from './fixtures/owned-run.ts';

const names = ['alpha', 'beta', 'gamma', 'delta'];
const queries = ['refunds', 'salaries', 'passwords'];
const rounds = Number(process.env['FUZZ_ROUNDS'] ?? 150);

t.test('over HTTP and two gateways nobody sees too much or too little, cached or not', async (t) => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.comment(`FUZZ_SEED=${seed}`);
  const { next: random, pick } = createRandom(seed);
  const below = (n: number) => Math.floor(random() * n);

  const { sql, users, secrets, addGateway } = await createGatewayFixture(t);
  const gateways = [await addGateway(), await addGateway()] as const;
  const [first] = gateways;
  const sessionOf = async (userId: string) => {
    const login = { userId, lifetime: 3600, userAgent: null, address: null };
    const { session } = await first.identity.sessions.open(login, { refreshable: false });
    return issueAccessToken(first.app, session, first.identity.policy.epoch() ?? 0);
  };
  const people: Person[] = [];
  for (const role of [...roles, 'analyst', 'integration'] as Role[]) {
    const known = people.some((person) => person.role === role);
    const other = { email: `second-${role}@example.org`, name: role, role, passwordHash: null };
    const { id } = known ? ((await insertUser(sql, other)) ?? { id: '' }) : users[role];
    people.push({ id, role, tokens: [await sessionOf(id)] });
  }
  const owner = await addWorker(sql);
  const service = people.find(({ role }) => role === 'service') as Person;
  const runId = await addRun(sql, { principalId: service.id, role: 'service', owner });
  const body = { runId, incarnation: owner };
  const run = await first.call('POST', '/api/internal/run-tokens', { token: secrets.WORKER_API_KEY, body });
  const runToken = run.body['token'] as string;

  const model: AccessModel = { collections: new Map(), documents: new Map() };
  for (const [i, name] of names.entries()) {
    const { id } = people.filter(mayFeed)[i] as Person;
    await sql`INSERT INTO collections (name, owner_id, visibility) VALUES (${name}, ${id}, 'private')`;
    model.collections.set(name, { owner: id, private: true, grants: new Set() });
  }
  const findings: string[] = [];
  const seen = { searches: 0, hits: 0, changes: 0 };
  type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';
  const call = async (person: Person, method: Method, path: string, json?: unknown, token = pick(person.tokens)) =>
    pick(gateways).call(method, path, { token, ...(json !== undefined && { body: json }) });
  const expect = (what: string, expected: unknown, got: unknown) => {
    const [want, have] = [JSON.stringify(expected), JSON.stringify(got)];
    if (want !== have) findings.push(`${what}: ${have} instead of ${want}`);
  };

  /** A read, drawn now, and the answers that are right before and after whatever happens beside it. */
  function drawRead(): () => Promise<(models: AccessModel[]) => void> {
    const person = pick(people);
    // A run has the authority of whoever started it.
    const token = person === service && random() < 0.5 ? runToken : pick(person.tokens);
    const only = random() < 0.5 ? pick(names) : undefined;
    const dice = random();
    const limit = pick([2, 100]);
    const [document] = pick([...model.documents, ['00000000-0000-7000-8000-000000000000']]) as [string];
    const query = pick(queries);
    return async () => {
      if (dice < 0.7) {
        const json = { query, threshold: -1, limit, ...(only !== undefined && { collection: only }) };
        const answer = await call(person, 'POST', '/api/search/semantic', json, token);
        seen.searches += 1;
        if (answer.body['cache'] === 'hit') seen.hits += 1;
        const items = (answer.body['items'] ?? []) as { id: string; text: string }[];
        return (models) =>
          judge(`search of ${only ?? 'all'} as ${person.role}`, models, (state) => {
            if (only !== undefined && !sees(state, person, only)) return answer.status === 404;
            const allowed = readable(state, person, only);
            const right = items.every(({ id, text }) => allowed.includes(id) && state.documents.get(id)?.text === text);
            return answer.status === 200 && right && items.length === Math.min(limit, allowed.length);
          });
      }
      if (dice < 0.85) {
        const answer = await call(person, 'GET', `/api/documents/${document}`, undefined, token);
        return (models) =>
          judge(`read of ${document} as ${person.role}`, models, (state) => {
            if (!mayFeed(person)) return answer.status === 403;
            const there = readable(state, person).includes(document);
            return (
              answer.status === (there ? 200 : 404) &&
              (!there || answer.body['text'] === state.documents.get(document)?.text)
            );
          });
      }
      if (dice < 0.93) {
        const answer = await call(
          person,
          'GET',
          `/api/documents?limit=200${only === undefined ? '' : `&collection=${only}`}`,
          undefined,
          token,
        );
        const items = (answer.body['items'] ?? []) as { id: string }[];
        const ids = items
          .map(({ id }) => id)
          .toSorted()
          .join();
        return (models) =>
          judge(`list as ${person.role}`, models, (state) =>
            mayFeed(person) ? ids === readable(state, person, only).join() : answer.status === 403,
          );
      }
      const answer = await call(person, 'GET', '/api/collections', undefined, token);
      const items = (answer.body['items'] ?? []) as { name: string }[];
      const listed = items
        .map(({ name }) => name)
        .toSorted()
        .join();
      return (models) =>
        judge(
          `collections as ${person.role}`,
          models,
          (state) =>
            listed ===
            [...state.collections.keys()]
              .filter((name) => person.role === 'admin' || sees(state, person, name))
              .toSorted()
              .join(),
        );
    };
  }

  function judge(what: string, models: AccessModel[], right: (state: AccessModel) => boolean): void {
    if (!models.some(right)) findings.push(`${what}: right neither before nor after`);
  }

  /** A change by somebody who may or may not; the model follows when it must have happened. */
  async function change(): Promise<void> {
    const person = pick(people);
    const name = pick(names);
    const collection = model.collections.get(name);
    const as = `${person.role} on ${name}`;
    const dice = random();
    seen.changes += 1;
    const status = managed(model, person, name);
    if (dice < 0.3) {
      const [kind, grantee] = random() < 0.6 ? ['users', pick(people).id] : ['roles', pick(roles)];
      const method = random() < 0.5 ? 'PUT' : 'DELETE';
      const answer = await call(person, method, `/api/collections/${name}/grants/${kind}/${grantee}`);
      expect(`${method} of a grant as ${as}`, status, answer.status);
      if (status === 200) collection?.grants[method === 'PUT' ? 'add' : 'delete'](`${kind}/${grantee}`);
    } else if (dice < 0.45) {
      const next = pick(people).id;
      const json = random() < 0.5 ? { visibility: pick(['shared', 'private', 'private'] as const) } : { ownerId: next };
      const answer = await call(person, 'PUT', `/api/collections/${name}`, json);
      const may = mayFeed(person);
      if (collection === undefined) {
        expect(`making ${as}`, may ? 201 : 403, answer.status);
        const made = {
          owner: json.ownerId ?? person.id,
          private: json.visibility === 'private',
          grants: new Set<string>(),
        };
        if (may) model.collections.set(name, made);
      } else {
        const orphan = status === 200 && json.visibility === 'private' && collection.owner === null;
        expect(`settings as ${as}`, orphan ? 400 : status, answer.status);
        if (status === 200 && !orphan) {
          collection.owner = json.ownerId ?? collection.owner;
          if (json.visibility !== undefined) collection.private = json.visibility === 'private';
        }
      }
    } else if (dice < 0.8) {
      const text = `${pick(queries)} ${below(1_000)} in ${name}`;
      const embedding = Array.from({ length: 384 }, () => random() - 0.5);
      const externalId = `doc-${below(4)}`;
      const json = { externalId, collection: name, text, embedding, model: 'all-MiniLM-L6-v2' };
      const answer = await call(person, 'POST', '/api/documents', json);
      const open = collection === undefined || sees(model, person, name);
      expect(`writing as ${as}`, mayFeed(person) ? (open ? 200 : 404) : 403, answer.status);
      if (answer.status !== 200) return;
      model.collections.set(name, collection ?? { owner: null, private: false, grants: new Set() });
      const [stored] = answer.body['documents'] as { id: string }[];
      model.documents.set(stored?.id ?? '', { collection: name, text });
    } else if (dice < 0.95) {
      const [id] = pick([...model.documents, ['00000000-0000-7000-8000-000000000000']]) as [string];
      const answer = await call(person, 'DELETE', `/api/documents/${id}`);
      const there = readable(model, person).includes(id);
      expect(`deleting as ${person.role}`, mayFeed(person) ? (there ? 204 : 404) : 403, answer.status);
      if (answer.status === 204) model.documents.delete(id);
    } else {
      const answer = await call(person, 'DELETE', `/api/collections/${name}`);
      expect(`deleting ${as}`, status, answer.status);
      if (answer.status !== 200) return;
      model.collections.delete(name);
      for (const [id, document] of model.documents) if (document.collection === name) model.documents.delete(id);
    }
  }

  for (let round = 0; round < rounds && findings.length === 0; round += 1) {
    const before = structuredClone(model);
    const reads = Array.from({ length: 3 }, drawRead);
    // Beside each other: whoever the change does not touch gets exactly what is theirs all the while.
    const raced = await Promise.all([...reads.map((read) => read()), change().then(() => () => {})]);
    for (const check of raced) check([before, model]);
    // And after the change was answered, nobody gets an answer of before it.
    for (const check of await Promise.all(Array.from({ length: 3 }, drawRead).map((read) => read()))) check([model]);
    if (findings.length > 0) t.comment(`round ${round}`);
  }
  t.same(findings, [], `FUZZ_SEED=${seed} repeats it`);
  t.comment(JSON.stringify(seen));
  t.ok(seen.hits > rounds / 5 && seen.searches - seen.hits > rounds / 5, 'cached answers and computed ones were given');
});
