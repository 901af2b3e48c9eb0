/** Checks that ARCHITECTURE.md names only what exists, and that the repository cites only what it contains. */
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

const ARCHITECTURE = 'ARCHITECTURE.md';
/** Ignored by Git, Git's own, or written by npm. */
const IGNORED = ['.git', 'node_modules', 'dist', 'build', 'coverage', 'package-lock.json'];
/** Entries of past releases and commits keep their text, even if a page or a file has been renamed since. */
const HISTORY = ['CHANGELOG.md', 'test/track-record.json'];
/** This test plants imports in files that need not exist. */
const PLANTS = 'test/package/house-rules.test.ts';

let architecture = '';
/** Every text of the repository, by its path, with each comment and paragraph on one line. */
const texts = new Map<string, string>();

beforeAll(async () => {
  architecture = await readFile(ARCHITECTURE, 'utf8');
  for (const file of await filesIn('.')) {
    const text = await readFile(file, 'utf8');
    if (!HISTORY.includes(file) && !text.includes('\0'))
      texts.set(file, text.replace(/[ \t]*\n[ \t]*(\*|\/\/|#)?[ \t]*/g, ' '));
  }
});

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const kept = entries.filter(({ name }) => !IGNORED.includes(name));
  const found = await Promise.all(
    kept.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return await filesIn(path);
      return entry.isFile() ? [path] : [];
    }),
  );
  return found.flat();
}

describe('the repository cites only what it contains', () => {
  it('each page that is named exists', () => {
    const missing = [...texts].flatMap(([file, text]) =>
      matches(text, /(?<![\w/:.@-])(\/?(?:[\w.-]+\/)*[\w-]+\.md)\b/g)
        // `npm pack` puts everything into a folder of that name.
        .map((page) => page.replace(/^package\//, ''))
        .filter((page) => ![dirname(file), '.', 'docs'].some((folder) => isInside(join(folder, page))))
        .map((page) => `${file}: ${page}`),
    );
    expect(missing).toEqual([]);
  });

  it('each source file that is named exists', () => {
    const missing = [...texts].flatMap(([file, text]) =>
      matches(text, /\b((?:lib|test|bench|scripts|sample-app)\/[\w./-]+\.(?:ts|mjs))\b/g)
        .filter((path) => file !== PLANTS && !existsSync(path))
        .map((path) => `${file}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('each cited rule of the election exists', () => {
    const rules = rulesOf(architecture);
    const missing = [...texts].flatMap(([file, text]) =>
      matches(text, /ARCHITECTURE\.md, rules? ([\d, and]*\d)/g)
        .flatMap((numbers) => matches(numbers, /(\d+)/g))
        .filter((rule) => !rules.includes(rule))
        .map((rule) => `${file}: rule ${rule}`),
    );
    expect(missing).toEqual([]);
  });

  it('each cited section exists', async () => {
    const missing: string[] = [];
    for (const [file, text] of texts)
      for (const [, page, title] of text.matchAll(/((?:docs\/)?[\w-]+\.md), "([^"]+)"/g)) {
        const cited = await readFile(String(page), 'utf8');
        if (!matches(cited, /^#+ (.*)$/gm).includes(String(title)))
          missing.push(`${file}: ${String(page)}, "${String(title)}"`);
      }
    expect(missing).toEqual([]);
  });

  it('each cited guarantee exists', () => {
    const guarantees = matches(String(texts.get('docs/guarantees.md')), /\| (G\d) /g);
    const missing = [...texts].flatMap(([file, text]) =>
      matches(text, /guarantees\.md, ((?:G\d(?:, | and |–)?)+)/g)
        .flatMap((names) => matches(names, /(G\d)/g))
        .filter((name) => !guarantees.includes(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(missing).toEqual([]);
  });
});

describe('ARCHITECTURE.md', () => {
  it('names only existing files and folders', () => {
    const files = matches(architecture, /(?<![\w/.-])((?:[\w.-]+\/)*[\w.-]+\.(?:ts|mjs))\b/g);
    const folders = matches(architecture, /`([\w./-]+\/)`/g);
    expect([...files, ...folders].filter((path) => !existsSync(pathOf(path)))).toEqual([]);
  });

  it('names only functions of a file that is named beside them', async () => {
    const missing: string[] = [];
    for (const block of blocksOf(architecture)) {
      const names = matches(block, /`(\w+)\(\)`/g);
      if (names.length === 0) continue;
      const files = matches(block, /`((?:[\w.-]+\/)*[\w.-]+\.ts)`/g)
        .map(pathOf)
        .filter(existsSync);
      const code = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
      for (const name of names)
        if (!declares(code, name)) missing.push(`${name}() in ${files.join(', ') || 'no file'}`);
    }
    expect(missing).toEqual([]);
  });

  it('names only identifiers of the code', () => {
    const code = [...texts].filter(([file]) => /\.(ts|mjs)$/.test(file)).map(([, text]) => text);
    const known = new Set(code.flatMap((text) => text.match(/\w+/g) ?? []));
    expect(matches(architecture, /`(\w+)`/g).filter((name) => !known.has(name))).toEqual([]);
  });

  it('links only to existing pages', () => {
    const targets = matches(architecture, /\]\(([^)#:]+)(?:#[^)]*)?\)/g);
    expect(targets).not.toEqual([]);
    expect(targets.filter((target) => !isInside(join(target)))).toEqual([]);
  });
});

/** The distinct matches of the group of a pattern. */
function matches(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, group]) => String(group)))];
}

/** Whether the path exists in the repository. */
function isInside(path: string): boolean {
  return !path.startsWith('..') && existsSync(path);
}

/** A file that is named without a folder belongs to the core. */
function pathOf(path: string): string {
  const inCore = join('lib/election', path);
  return /\/./.test(path) || !existsSync(inCore) ? path : inCore;
}

/** The numbers of the rules of the election. */
function rulesOf(text: string): string[] {
  const section = text.split(/^## /m).find((part) => part.startsWith('The rules'));
  return matches(String(section), /^(\d+)\. /gm);
}

/** Paragraphs, items of lists and rows of tables. */
function blocksOf(text: string): string[] {
  return text.split(/\n(?=\s*(?:[-|]|\d+\.) )|\n\s*\n/);
}

function declares(code: string, name: string): boolean {
  return new RegExp(
    `^\\s*(?:export |static |async |readonly |get |#|function |const )*${name}\\b[(<:= ]`,
    'm',
  ).test(code);
}
