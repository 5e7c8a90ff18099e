import t from 'tap';
import { buildImage, nodeImage, noEngine } from './images/docker.ts';
import { image, services } from './images/targets.ts';

const reason = await noEngine();
const base = reason === undefined ? await nodeImage() : { reason };
if ('reason' in base) {
  t.pass('images', { skip: `no image was built or started: ${base.reason}` });
} else {
  // What is fetched is fetched once, so that the first one takes minutes and the others seconds.
  for (const target of [...services, 'flowstate']) await buildImage(target, { name: image(target), base: base.image });
  // Loaded only now: most machines have no engine, and are told so at once.
  const [{ testContents }, { testMainJob }] = await Promise.all([
    import('./images/contents.ts'),
    import('./images/main-job.ts'),
  ]);
  testContents(t);
  await testMainJob(t);
}
