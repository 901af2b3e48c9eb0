/** That ARCHITECTURE.md names only what is there, and that what the repository cites is in the repository. */
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';

const ARCHITECTURE = 'ARCHITECTURE.md';
/** What Git ignores, what is Git's own, and what npm writes. */
const IGNORED = ['.git', 'node_modules', 'dist', 'build', 'coverage', 'package-lock.json'];
/** A release keeps what it said, also of a page that was renamed since. */
const HISTORY = 'CHANGELOG.md';
/** Plants imports in files that need not exist. */
const PLANTS = 'test/package/house-rules.test.ts';

let architecture = '';
/** Every text of the repository, by its path, with each comment and paragraph on one line. */
const texts = new Map<string, string>();

beforeAll(async () => {
  architecture = await readFile(ARCHITECTURE, 'utf8');
  for (const file of await filesIn('.')) {
    const text = await readFile(file, 'utf8');
    if (file !== HISTORY && !text.includes('\0'))
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
  it('each page that is named is there', () => {
    const missing = [...texts].flatMap(([file, text]) =>
      matches(text, /(?<![\w/:.@-])(\/?(?:[\w.-]+\/)*[\w-]+\.md)\b/g)
        // `npm pack` puts everything into a folder of that name.
        .map((page) => page.replace(/^package\//, ''))
        .filter((page) => ![dirname(file), '.', 'docs'].some((folder) => isInside(join(folder, page))))
        .map((page) => `${file}: ${page}`),
    );
    expect(missing).toEqual([]);
  });

  it('each file of code that is named is there', () => {
    const missing = [...texts].flatMap(([file, text]) =>
      matches(text, /\b((?:lib|test|bench|scripts|sample-app)\/[\w./-]+\.(?:ts|mjs))\b/g)
        .filter((path) => file !== PLANTS && !existsSync(path))
        .map((path) => `${file}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('each rule of the election that is cited is there', () => {
    const rules = rulesOf(architecture);
    const missing = [...texts].flatMap(([file, text]) =>
      matches(text, /ARCHITECTURE\.md, rules? ([\d, and]*\d)/g)
        .flatMap((numbers) => matches(numbers, /(\d+)/g))
        .filter((rule) => !rules.includes(rule))
        .map((rule) => `${file}: rule ${rule}`),
    );
    expect(missing).toEqual([]);
  });

  it('each section that is cited is there', async () => {
    const missing: string[] = [];
    for (const [file, text] of texts)
      for (const [, page, title] of text.matchAll(/((?:docs\/)?[\w-]+\.md), "([^"]+)"/g)) {
        const cited = await readFile(String(page), 'utf8');
        if (!matches(cited, /^#+ (.*)$/gm).includes(String(title)))
          missing.push(`${file}: ${String(page)}, "${String(title)}"`);
      }
    expect(missing).toEqual([]);
  });

  it('each guarantee that is cited is there', () => {
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
  it('names only files and folders that are there', () => {
    const files = matches(architecture, /(?<![\w/.-])((?:[\w.-]+\/)*[\w.-]+\.(?:ts|mjs))\b/g);
    const folders = matches(architecture, /`([\w./-]+\/)`/g);
    expect([...files, ...folders].filter((path) => !existsSync(pathOf(path)))).toEqual([]);
  });

  it('names only functions that a file named beside them has', async () => {
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

  it('names only what the code knows', () => {
    const code = [...texts].filter(([file]) => /\.(ts|mjs)$/.test(file)).map(([, text]) => text);
    const known = new Set(code.flatMap((text) => text.match(/\w+/g) ?? []));
    expect(matches(architecture, /`(\w+)`/g).filter((name) => !known.has(name))).toEqual([]);
  });

  it('links only to what is there', () => {
    const targets = matches(architecture, /\]\(([^)#:]+)(?:#[^)]*)?\)/g);
    expect(targets).not.toEqual([]);
    expect(targets.filter((target) => !isInside(join(target)))).toEqual([]);
  });
});

/** What the group of a pattern matches, each once. */
function matches(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, group]) => String(group)))];
}

/** Whether there is something at that path, in the repository and not around it. */
function isInside(path: string): boolean {
  return !path.startsWith('..') && existsSync(path);
}

/** A file named without a folder is one of the core. */
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
