/** Checks docs/track-record.md: the tests that it names exist, and what it says can be shown again has an entry. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

interface NamedTest {
  readonly file: string;
  /** Text of the test's title, as it stands in the file. */
  readonly name: string;
}

interface Row extends NamedTest {
  readonly mended: string;
  readonly again: string;
}

interface Entry {
  readonly mended: string;
  /** At the commit that mended the bug. */
  readonly test: NamedTest;
  /** At HEAD, if it is named otherwise. */
  readonly now?: NamedTest;
}

const page = await readFile('docs/track-record.md', 'utf8');
const entries = JSON.parse(await readFile('test/track-record.json', 'utf8')) as readonly Entry[];
const rows = [
  ...page.matchAll(
    /^\|[^|]*\|[^|]*\| `(?<mended>\w+)` +\| `(?<file>\S+)`: (?<name>.*?) +\| (?<again>yes|) *\|$/gm,
  ),
].map(({ groups }) => groups as unknown as Row);

/** The named tests that do not exist. */
async function missing(tests: readonly NamedTest[]): Promise<string[]> {
  const found = await Promise.all(
    tests.map(async ({ file, name }) => {
      const text = await readFile(file, 'utf8').catch(() => '');
      return text.includes(name) ? [] : [`${file}: ${name}`];
    }),
  );
  return found.flat();
}

it('each row names a test that exists', async () => {
  // The other rows of the tables are their heads.
  expect(rows.length).toBe([...page.matchAll(/^\|(?! What happened| -)/gm)].length);
  expect(await missing(rows)).toEqual([]);
});

it('each bug that can be shown again has an entry with the same test, and the other way round', async () => {
  const shown = rows.filter(({ again }) => again === 'yes');
  const told = entries.map(({ mended, test, now = test }) => ({ mended, ...now }));
  const inOrder = (tests: readonly (NamedTest & { mended: string })[]): string[] =>
    tests.map(({ mended, file, name }) => `${mended} ${file}: ${name}`).toSorted();
  expect(inOrder(shown)).toEqual(inOrder(told));
  expect(await missing(told)).toEqual([]);
});
