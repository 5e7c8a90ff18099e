import { styleText } from 'node:util';
import t from 'tap';
import { readableMarkdown } from '../src/markdown.ts';

t.test('a report reads well without colours', (t) => {
  const text = '# Report\n\n**Bold** words\n\n| Figure | Now |\n|---|---|\n| Win rate | 71% |\n\nEnd';
  t.equal(readableMarkdown(text, false), 'Report\n\nBold words\n\nFigure    Now\n────────  ───\nWin rate  71%\n\nEnd');
  t.end();
});

t.test('headings and emphasis are bold with colours', (t) => {
  const bold = (text: string) => styleText('bold', text, { validateStream: false });
  t.equal(readableMarkdown('## Risks\n**now**', true), `${bold('Risks')}\n${bold('now')}`);
  t.end();
});

t.test('text with single bars is no table', (t) => {
  t.equal(readableMarkdown('a | b\n|x', false), 'a | b\n|x');
  t.end();
});
