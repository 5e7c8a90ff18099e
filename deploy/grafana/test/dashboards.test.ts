import { readdir, readFile } from 'node:fs/promises';
import t from 'tap';
import { dashboards, fileText, folder } from '../src/index.ts';

t.test('the files Grafana reads are what is declared', async (t) => {
  t.same((await readdir(folder)).toSorted(), Object.keys(dashboards).toSorted());
  for (const [name, dashboard] of Object.entries(dashboards)) {
    t.equal(await readFile(new URL(name, folder), 'utf8'), fileText(dashboard), `${name}: else npm run dashboards`);
  }
});

t.test('every panel asks for something, names its unit and says what it tells', async (t) => {
  for (const [file, { uid, panels = [] }] of Object.entries(dashboards)) {
    t.equal(`${uid}.json`, `flowstate-${file}`);
    t.ok(panels.length >= 8, `${file} has ${panels.length} panels`);
    t.equal(new Set(panels.map(({ title }) => title)).size, panels.length, 'titles are distinct');
    for (const panel of panels) {
      if (!('targets' in panel)) throw new Error(`${file}: ${panel.title} is no panel with queries`);
      t.ok(panel.description, `${panel.title} says what it tells`);
      t.ok(panel.fieldConfig?.defaults.unit, `${panel.title} names its unit`);
      t.ok(panel.targets?.length, `${panel.title} asks for something`);
    }
  }
});
