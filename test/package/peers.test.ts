/** The ranges of the optional peers are those of the installations in which test/package/integrations.ts runs them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';

type Ranges = Record<string, string>;
interface Manifest {
  readonly peerDependencies: Ranges;
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>;
}

let manifest: Manifest;
let lines: Ranges[];

beforeAll(async () => {
  manifest = JSON.parse(await readFile('package.json', 'utf8')) as Manifest;
  const folder = join('test', 'consumers', 'integrations');
  lines = await Promise.all(
    ['nest-11.json', 'nest-12.json'].map(async (file) => {
      const { dependencies } = JSON.parse(await readFile(join(folder, file), 'utf8')) as {
        dependencies: Ranges;
      };
      return dependencies;
    }),
  );
});

const majorsIn = (range: string): string[] =>
  [...range.matchAll(/[\^~](\d+)\./g)].map(([, major]) => String(major));

it('each optional peer is tested in every major of its range, and in no other', () => {
  const optional = Object.entries(manifest.peerDependencies).filter(
    ([name]) => manifest.peerDependenciesMeta[name]?.optional === true && name !== '@kubernetes/client-node',
  );
  expect(optional.length).toBeGreaterThan(8);
  for (const [name, range] of optional) {
    const tested = lines.flatMap((dependencies) => majorsIn(dependencies[name] ?? ''));
    expect([name, majorsIn(range)]).toEqual([name, [...new Set(tested)]]);
  }
});
