/** The documentation as a whole: every page is in the index, every link leads somewhere, and nothing is written twice. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { optionNames } from '../../lib/nest/options/resolve-options.js';
import { anchorsOf, examplesIn } from './consumer.js';

const INDEX = 'docs/README.md';
const OPTIONS = 'docs/options.md';

/** The text of each document, by its path. */
const documents = new Map<string, string>();

beforeAll(async () => {
  const pages = (await readdir('docs', { recursive: true })).filter((name) => name.endsWith('.md'));
  const files = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md'];
  for (const file of [...files, ...pages.map((page) => join('docs', page))])
    documents.set(file, await readFile(file, 'utf8'));
});

function textOf(document: string): string {
  return documents.get(document) ?? '';
}

describe('the documents', () => {
  it('are all in the index', () => {
    const pages = [...documents.keys()].filter((file) => file.startsWith('docs/') && file !== INDEX);
    const listed = [...textOf(INDEX).matchAll(/^- \[.*?\]\((.*?)\)/gm)].map(([, page]) =>
      join('docs', String(page)),
    );
    expect(listed.sort()).toEqual(pages.sort());
  });

  it('refer to pages and headings that are there', () => {
    const headings = new Map([...documents].map(([file, text]) => [file, anchorsOf(text)]));
    const broken: string[] = [];
    for (const [file, text] of documents) {
      for (const [, path = '', anchor] of text.matchAll(/\]\(([^)#:]*\.md)?(?:#([^)]*))?\)/g)) {
        const target = path === '' ? file : join(file, '..', path);
        const anchors = headings.get(target);
        if (anchors === undefined || (anchor !== undefined && !anchors.includes(anchor)))
          broken.push(`${file}: ${path}#${anchor ?? ''}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('show one Deployment', () => {
    const shown = [...documents].flatMap(([file, text]) =>
      [...text.matchAll(/^kind: Deployment$/gm)].map(() => file),
    );
    expect(shown).toEqual(['docs/operations.md']);
  });

  it('have one table of options, which lists each once', () => {
    const tables = [...documents].filter(([, text]) => /^\| `leaseName` /m.test(text)).map(([file]) => file);
    expect(tables).toEqual([OPTIONS]);
    const listed = [...textOf(OPTIONS).matchAll(/^\| `([a-z]\w+)` /gm)].map(([, name]) => String(name));
    expect(listed.sort()).toEqual([...optionNames].sort());
  });
});

describe('the README', () => {
  it('is read in ten minutes', () => {
    const words = textOf('README.md')
      .split(/\s+/)
      .filter((word) => /[A-Za-z0-9]/.test(word));
    expect(words.length).toBeLessThanOrEqual(1_000);
  });

  it('shows options with the defaults of the table', async () => {
    const example = (await examplesIn('README.md')).get('options.ts') ?? '';
    const shown = [...example.matchAll(/^ {2}(\w+): (.*?),/gm)];
    expect(shown).toHaveLength(12);
    const different = shown.filter(([, name, value = '']) => {
      const row =
        new RegExp(`^\\| \`${String(name)}\` +\\| (.*?) +\\|`, 'm').exec(textOf(OPTIONS))?.[1] ?? '';
      // What the README gives no value has a comment there, and words in the table.
      return (
        value !== 'undefined' && row !== 'required' && row.replaceAll('`', '') !== value.replace('_', '')
      );
    });
    expect(different).toEqual([]);
  });
});

it('docs/decisions.md gives each decision five lines at most', () => {
  const decisions = textOf('docs/decisions.md')
    .split(/\n\n+/)
    .filter((paragraph) => paragraph.startsWith('**'));
  expect(decisions).not.toEqual([]);
  expect(decisions.filter((paragraph) => paragraph.split('\n').length > 5)).toEqual([]);
});
