/** deploy/grafana/dashboard.json is a dashboard that Grafana understands. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';
import { DASHBOARD, readDashboard } from './dashboard.js';
import type { DashboardFile } from './dashboard-types.js';

let dashboard: DashboardFile;

beforeAll(async () => {
  dashboard = await readDashboard();
});

/** The errors of each of these TypeScript files beside this one, which are not on the disk. */
function errorsIn(texts: readonly string[]): string[][] {
  const options: ts.CompilerOptions = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
  };
  const files = new Map(
    texts.map((text, index) => [join(import.meta.dirname, `in-memory-${String(index)}.ts`), text]),
  );
  const host = ts.createCompilerHost(options);
  const onDisk = { ...host };
  host.fileExists = (path) => files.has(path) || onDisk.fileExists(path);
  host.readFile = (path) => files.get(path) ?? onDisk.readFile(path);
  const errors = ts.getPreEmitDiagnostics(ts.createProgram([...files.keys()], options, host));
  return [...files].map(([path, text]) =>
    errors
      .filter(({ file }) => file?.fileName === path)
      .map(({ messageText, start }) => {
        const line = text.slice(0, start).split('\n').length;
        return `line ${String(line)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
      }),
  );
}

function typed(json: string): string {
  return `import type { DashboardFile } from './dashboard-types.js';\nexport const dashboard: DashboardFile = ${json};\n`;
}

describe('the dashboard', () => {
  it("fits the types of Grafana's package @grafana/schema, which refuse what Grafana does not know", async () => {
    const json = await readFile(DASHBOARD, 'utf8');
    const mistakes = [
      ['"schemaVersion"', '"schemaversion"'],
      ['"textMode": "name"', '"textMode": "names"'],
      ['"type": "timeseries"', '"type": "graph"'],
      ['"drawStyle": "bars"', '"drawStyle": "bar"'],
      ['"mode": "thresholds"', '"mode": "threshold"'],
    ] as const;
    for (const [known] of mistakes) expect(json).toContain(known);
    const variants = [json, ...mistakes.map(([known, unknown]) => json.replace(known, unknown))];
    const [errors, ...found] = errorsIn(variants.map(typed));
    expect(errors).toEqual([]);
    expect(found.map((some) => some.length > 0)).toEqual(mistakes.map(() => true));
  });

  it('has panels with an id, a title and a description each, side by side without a gap or an overlap', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    const cells = new Map<string, string>();
    for (const { title, description, gridPos } of panels) {
      expect(description, title).toMatch(/\.$/);
      const { x, y, w, h } = gridPos;
      for (let column = x; column < x + w; column += 1)
        for (let line = y; line < y + h; line += 1) {
          const cell = `${String(column)},${String(line)}`;
          expect(cells.get(cell), `${title} overlaps`).toBeUndefined();
          cells.set(cell, title);
        }
    }
    const height = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
    expect(cells.size).toBe(24 * height);
  });

  it('takes each query from the data source that the user chooses, with every drop-down as a filter', () => {
    const names = dashboard.templating?.list?.map(({ name }) => name);
    expect(names).toEqual(['datasource', 'cluster', 'namespace', 'name']);
    for (const { title, targets, datasource } of dashboard.panels) {
      expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
      for (const { expr } of targets)
        for (const [, selector] of expr.matchAll(/leader_election_\w+(\{[^}]*\})?/g))
          expect(selector, title).toMatch(
            /^\{cluster=~"\$cluster",namespace=~"\$namespace",name=~"\$name"\}$/,
          );
    }
  });
});
