import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = fileURLToPath(new URL('..', import.meta.url));
const folders = '{deploy,packages,services,test}/**';
const exclude = ['**/node_modules', '**/.tap'];
const find = async (pattern: string) => (await Array.fromAsync(glob(pattern, { cwd: root, exclude }))).toSorted();

type Page = { anchors: Set<string>; links: string[] };

/** By path from the root. */
const pages = new Map<string, Page>();
for (const path of ['README.md', ...(await find(`${folders}/*.md`))]) {
  pages.set(path, readPage(await readFile(join(root, path), 'utf8')));
}

/** What is a heading or a link, not an example of one. */
function readPage(text: string): Page {
  const prose = text.replaceAll(/^(`{3,}).*?^\1/gms, '');
  const headings = [...prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, title]) => toAnchor(title as string));
  const links = [...prose.replaceAll(/`[^`\n]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => to as string);
  return { anchors: new Set(headings), links: links.filter((to) => !/^[a-z]+:/.test(to)) };
}

/** The name by which GitHub and GitLab know a heading. */
function toAnchor(title: string): string {
  return title
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-');
}

/** What is wrong with a link; null when it leads somewhere. */
function problemWith(path: string, anchor: string | undefined): string | null {
  if (!existsSync(join(root, path))) return `there is no ${path}`;
  if (anchor === undefined || pages.get(path)?.anchors.has(anchor)) return null;
  return `${path} has no heading #${anchor}`;
}

t.test('every link between the chapters, and from them to files, leads somewhere', async (t) => {
  for (const [page, { links }] of pages) {
    const problems = links.flatMap((link) => {
      const [file = '', anchor] = link.split('#');
      const path = file === '' ? page : normalize(join(dirname(page), decodeURIComponent(file)));
      return problemWith(path, anchor) ?? [];
    });
    t.same(problems, [], page);
  }
});

t.test('README leads to every chapter', async (t) => {
  const linked = new Set(pages.get('README.md')?.links.map((link) => link.split('#')[0]));
  t.ok(pages.size > 15);
  t.same(
    [...pages.keys()].filter((page) => page !== 'README.md' && !linked.has(page)),
    [],
  );
});

t.test('every chapter that code, rules and manifests name exists, with its heading', async (t) => {
  const files = await find(`${folders}/*.{ts,mts,mjs,sql,sh,yml,yaml,tpl,tmpl,md}`);
  const named = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(root, file), 'utf8');
      return [...text.matchAll(/(?<![\w./-])((?:deploy|packages|services|test)\/[\w./-]+\.md)(?:#([\w-]+))?/g)].map(
        ([, path, anchor]) => ({ file, path: path as string, anchor }),
      );
    }),
  );
  t.ok(named.flat().length > 30);
  const problems = named.flat().flatMap(({ file, path, anchor }) => {
    const problem = problemWith(path, anchor);
    return problem === null ? [] : `${file}: ${problem}`;
  });
  t.same(problems, []);
});
