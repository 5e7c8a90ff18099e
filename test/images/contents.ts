import { readFile } from 'node:fs/promises';
import type { Test } from 'tap';
import { imageFiles, inspectImage } from './docker.ts';
import { image, services } from './targets.ts';

const megabyte = 1_000_000;
const root = new URL('../../', import.meta.url);

/** What the images hold, and what they must not hold. */
export function testContents(t: Test): void {
  t.test('an image is small, and holds its service and Node, with no shell and nothing for development', async (t) => {
    const { devDependencies } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    // OpenTelemetry declares Node's types as its own.
    const forDevelopment = [...Object.keys(devDependencies), 'testcontainers', 'kubernetes-models'].filter(
      (name) => name !== '@types/node',
    );
    for (const target of [...services, 'flowstate']) {
      const { Size, Config } = await inspectImage(image(target));
      t.comment(`${target}: ${Math.round(Size / megabyte)} MB`);
      t.ok(Size < 300 * megabyte, `${target} is less than 300 MB`);
      t.equal(Config.User, '10001:10001');
      t.equal(Config.StopSignal, 'SIGTERM');
      if (target !== 'flowstate') t.ok(Config.Healthcheck, `${target} has a health check`);
      const known = Config.Env.filter((variable) => /secret|password|token|key/i.test(variable));
      t.same(known, [], 'no secret is among its variables');
      const files = await imageFiles(image(target));
      const paths = files.map(({ path }) => path);
      t.ok(paths.includes('app/packages/contracts/package.json'));
      const programs = files.filter(
        ({ path, mode }) => /^(usr\/(local\/)?)?s?bin\/./.test(path) && !mode.startsWith('d'),
      );
      t.same(
        programs.map(({ path }) => path.replace(/^.*\//, '')).toSorted(),
        target === 'flowstate' ? ['node', 'pg_dump', 'pg_restore'] : ['node'],
        'no other program',
      );
      const packages = new Set(
        paths.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/.][^/]*)\//.exec(path)?.[1] ?? []),
      );
      t.same(
        forDevelopment.filter((name) => packages.has(name)),
        [],
        `${target} has no package for development`,
      );
      const strange =
        /(^|\/)(\.git|\.npmrc|\.env|\.flowstate|local\.env|metrics-token|test)(\/|$)|^app\/.*\.test\.ts$|\.pem$/;
      t.same(
        paths.filter((path) => strange.test(path) && !/node_modules\/\.pnpm\/[^/]+\//.test(path)),
        [],
        `${target} has no secret and no test`,
      );
      t.same(
        files.filter(({ mode }) => /s/i.test(mode.slice(1))),
        [],
        'nothing runs as another user',
      );
    }
  });
}
