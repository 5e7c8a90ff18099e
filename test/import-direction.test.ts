import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Lints a project with nothing but this import in this file, by the rules of this one; returns what they say. */
function lint(file: string, imported: string): { status: number | null; output: string } {
  const project = mkdtempSync(join(tmpdir(), 'flowstate-imports-'));
  try {
    cpSync(join(root, '.oxlintrc.json'), join(project, '.oxlintrc.json'));
    mkdirSync(join(project, dirname(file)), { recursive: true });
    writeFileSync(join(project, file), `import { thing } from '${imported}';\n\nexport const same = thing;\n`);
    // tap puts a loader into every child's NODE_OPTIONS that oxlint's start does not bear.
    const command = ['-u', 'NODE_OPTIONS', join(root, 'node_modules/.bin/oxlint'), '--deny-warnings'];
    const { status, stdout, stderr } = spawnSync('env', command, { cwd: project, encoding: 'utf8' });
    return { status, output: stdout + stderr };
  } finally {
    rmSync(project, { recursive: true });
  }
}

t.test('an import against the arrows of README fails the lint', async (t) => {
  const against = [
    ['packages/contracts/src/thing.ts', '@flowstate/store'],
    ['packages/contracts/src/thing.ts', 'node:fs/promises'],
    ['packages/contracts/src/thing.ts', '@flowstate/tracing'],
    ['packages/tracing/src/thing.ts', '@flowstate/contracts'],
    ['packages/store/src/crm/thing.ts', '@flowstate/queue'],
    ['packages/store/src/crm/thing.ts', '../../../queue/src/index.ts'],
    ['packages/store/src/thing.ts', 'bullmq'],
    ['packages/workflow/src/thing.ts', '@flowstate/store'],
    ['packages/workflow/src/thing.ts', 'node:http'],
    ['packages/cli/src/thing.ts', '@flowstate/queue'],
    ['services/gateway/src/thing.ts', '@flowstate/worker'],
    ['services/gateway/src/thing.ts', '../../worker/src/crm.ts'],
    ['services/gateway/src/routes/thing.ts', '../../../../packages/store/src/client.ts'],
    ['services/worker/src/thing.ts', '@flowstate/security'],
    ['services/worker/src/agents/thing.ts', '@flowstate/store'],
    ['services/worker/src/workflows/thing.ts', '@flowstate/queue'],
    ['services/controller/src/thing.ts', '@flowstate/workflow'],
  ] as const;
  for (const [file, imported] of against) {
    const { status, output } = lint(file, imported);
    t.equal(status, 1, `${file} imports ${imported}`);
    t.match(output, 'no-restricted-imports');
  }
});

t.test('an import along them passes', async (t) => {
  const along = [
    ['packages/store/src/crm/thing.ts', '@flowstate/contracts'],
    ['packages/store/src/crm/thing.ts', '../client.ts'],
    ['packages/store/test/thing.ts', '../src/client.ts'],
    ['packages/queue/src/thing.ts', 'bullmq'],
    ['packages/workflow/src/thing.ts', '@flowstate/tracing'],
    ['services/gateway/src/routes/thing.ts', '@flowstate/store'],
    ['services/gateway/src/routes/thing.ts', '../deps.ts'],
    ['services/worker/src/agents/thing.ts', '../crm.ts'],
    ['services/worker/src/agents/thing.ts', '@flowstate/workflow'],
  ] as const;
  for (const [file, imported] of along) {
    const { status, output } = lint(file, imported);
    t.equal(status, 0, `${file} imports ${imported}\n${output}`);
  }
});
