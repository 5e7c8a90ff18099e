import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { readme, withConfigurationTable } from './configuration-table.ts';

const text = await readFile(readme, 'utf8');

t.test('the configuration table is what the schemas say', async (t) => {
  t.equal(text, withConfigurationTable(text), 'else run `npm run docs`');
});

t.test('every name the runbooks use has its place here', async (t) => {
  const names = [
    '/api/health',
    '/api/ready',
    '/api/metrics',
    '/health',
    '/metrics',
    'POST /agents/workflows/customer-insights',
    'backend/src/utils/sessionManager.ts',
    'backend/src/routes/index.ts',
    'backend/src/cache/vectorSearchCache.ts',
    'backend/src/cache/',
    'backend/src/middleware/performanceMiddleware.ts',
    'backend/src/utils/metrics.ts',
    'backend/src/utils/tracer.ts',
    'python-worker/src/instrumentation.py',
    'python-worker/app/agents/',
    'match_documents',
  ];
  const table = text.split("## Where the runbooks' names live here")[1]?.split('\n## ')[0] ?? '';
  for (const name of names) t.match(table, name);
});

t.test('the folders of the architecture picture are the folders there are', async (t) => {
  const folders = ['packages', 'services'].flatMap((group) =>
    readdirSync(new URL(`${group}/`, readme)).map((name) => `${group}/${name}`),
  );
  t.ok(folders.length > 10);
  const picture = text.split('## Architecture')[1]?.split('### ')[0] ?? '';
  for (const folder of folders) t.match(picture, folder);
});
