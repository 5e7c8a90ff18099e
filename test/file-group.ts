import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { fileTimeout } from './file-timeout.ts';

// Runs the test files it is given one after the other, each as a test of its own: what they all load is loaded and
// compiled once, half a second of CPU for a small package and two for the gateway.

/** Longest that what a file left open may hold the process once all of them are done. */
const graceMs = 60_000;

const files = process.argv.slice(2).map((file) => ({ file, url: pathToFileURL(resolve(file)).href }));
const tests = new Map<string, Test>();

// To a file, `tap` is its own test: what it set up is torn down before the next file begins.
const testOf = Symbol.for('flowstate.testOf');
Object.defineProperty(globalThis, testOf, { value: (url: string) => tests.get(url) });
registerHooks({
  resolve(specifier, context, next) {
    const url = context.parentURL;
    if (specifier !== 'tap' || url === undefined || !tests.has(url)) return next(specifier, context);
    const source = `const t = globalThis[Symbol.for('flowstate.testOf')](${JSON.stringify(url)});
export default t;
export const test = t.test.bind(t);`;
    return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true };
  },
});

// Each has its own limit.
t.setTimeout(0);
for (const { file, url } of files) {
  await t.test(file, { timeout: fileTimeout(file) * 1_000 }, async (t) => {
    // Tap names it after the arguments, which are many.
    t.testdirName = resolve('.tap/fixtures', file.replaceAll('/', '-'));
    tests.set(url, t);
    await import(url);
  });
}
setTimeout(() => {
  console.error(`still open after ${graceMs / 1_000} s: ${process.getActiveResourcesInfo().join(', ')}`);
  process.exit(1);
}, graceMs).unref();
