/** What is published: each file has a reason, and nothing is missing. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { run } from './consumer.js';

/** Why a file is there. */
const KINDS: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^package\.json$/, 'npm requires it: entry points, peers, versions'],
  [/^README\.md$/, 'the page on npm'],
  [/^LICENSE$/, 'must accompany every copy'],
  [/^CHANGELOG\.md$/, 'read before an update'],
  [
    /^docs\/(recipes\/)?[\w-]+\.md$/,
    'the pages for the installed version; messages and doc comments name them',
  ],
  [/^docs\/performance\/[\w-]+\.svg$/, 'the pictures in these pages'],
  [/^dist\/(esm|cjs)\/.+\.js$/, 'what runs, as ES modules and as CommonJS'],
  [/^dist\/(esm|cjs)\/.+\.d\.ts$/, 'types and doc comments, for compilers and editors'],
  [/^dist\/cjs\/package\.json$/, 'marks that folder as CommonJS'],
  [/^dist\/cli\/.+\.js$/, 'the command line'],
  [/^deploy\/.+\.(yaml|json)$/, 'manifests, rules and a dashboard to apply or to copy'],
];
/** Only if the build puts packages of others into dist (scripts/third-party.mjs). */
const LICENCES = 'dist/THIRD-PARTY-LICENSES.txt';
/** Which licences let us put a package into dist. */
const PERMISSIVE = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0'];

interface PackageJson {
  readonly name: string;
  readonly license: string;
  readonly dependencies?: object;
  readonly main: string;
  readonly exports: object;
  readonly bin?: object;
}

let files: string[] = [];
let packageJson: PackageJson;
let bundled: { readonly name: string; readonly license: string }[] = [];

beforeAll(async () => {
  const output = await run('.', 'npm', [
    'pack',
    '--dry-run',
    '--json',
    '--ignore-scripts',
    '--loglevel=error',
  ]);
  const [packed] = Object.values(JSON.parse(output) as Record<string, { files: { path: string }[] }>);
  files = (packed?.files ?? []).map(({ path }) => path).sort();
  packageJson = JSON.parse(await readFile('package.json', 'utf8')) as PackageJson;
  bundled = JSON.parse(await readFile('build/bundled.json', 'utf8')) as typeof bundled;
});

it('each file is of one kind, and each kind is there', () => {
  const kindsOf = (file: string): string[] =>
    KINDS.filter(([pattern]) => pattern.test(file)).map(([, why]) => why);
  expect(files.filter((file) => file !== LICENCES && kindsOf(file).length !== 1)).toEqual([]);
  expect(KINDS.map(([, why]) => why)).toEqual([...new Set(KINDS.map(([, why]) => why))]);
  for (const [pattern, why] of KINDS)
    expect(
      files.some((file) => pattern.test(file)),
      why,
    ).toBe(true);
});

it('there are few files', () => {
  // Mostly declarations: one for each source that the types of an entry point refer to, twice.
  expect(files.length).toBeLessThanOrEqual(320);
});

it('what package.json names is there', () => {
  const { main, exports, bin } = packageJson;
  const paths = JSON.stringify([main, exports, bin]).match(/(dist\/|package\.)[^"]+/g) ?? [];
  expect(paths.length).toBeGreaterThan(10);
  expect(paths.filter((path) => !files.includes(path))).toEqual([]);
});

it('each declaration belongs to an entry point, and no import leads out of the package', async () => {
  const entries = JSON.stringify(packageJson.exports).match(/dist\/[^"]+\.(d\.ts|js)/g) ?? [];
  const reached = new Set<string>(entries);
  const missing: string[] = [];
  for (const file of reached) {
    const text = await readFile(file, 'utf8');
    for (const [, path = ''] of text.matchAll(/(?:from|import|require)\s*\(?\s*['"](\.[^'"]+)['"]/g)) {
      const target = join(dirname(file), file.endsWith('.d.ts') ? path.replace(/\.js$/, '.d.ts') : path);
      if (files.includes(target)) reached.add(target);
      else missing.push(`${file}: ${path}`);
    }
  }
  expect(missing).toEqual([]);
  const ofEntryPoints = files.filter((file) => /^dist\/(esm|cjs)\/.+\.(d\.ts|js)$/.test(file));
  expect(ofEntryPoints.filter((file) => !reached.has(file))).toEqual([]);
});

it('has no run-time dependencies, and the licence of each package that is put into it', async () => {
  expect(packageJson.dependencies).toBeUndefined();
  expect(await readFile('LICENSE', 'utf8')).toContain(`${packageJson.license} License`);
  expect(files.includes(LICENCES)).toBe(bundled.length > 0);
  const licences = bundled.length > 0 ? await readFile(LICENCES, 'utf8') : '';
  for (const { name, license } of bundled) {
    expect(PERMISSIVE, `the licence of ${name}`).toContain(license);
    expect(licences).toContain(`${name} `);
  }
});
