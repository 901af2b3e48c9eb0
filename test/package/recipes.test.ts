/** Checks that all code in recipes is run, and that the README lists every recipe. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { examplesIn } from './consumer.js';

const pages = (await readdir('docs/recipes')).map((name) => join('docs/recipes', name));

describe.each([...pages, 'docs/sharing-work.md', 'docs/shutdown.md'])('%s', (page) => {
  it('shows only code with a file name, so that tests compile and run it', async () => {
    const text = await readFile(page, 'utf8');
    const shown = [...text.matchAll(/^```\w+\n[\s\S]*?^```/gm)];
    expect(shown).not.toEqual([]);
    expect([...(await examplesIn(page)).keys()]).toHaveLength(shown.length);
  });
});

it('the README lists every recipe', async () => {
  const readme = await readFile('README.md', 'utf8');
  const listed = [...readme.matchAll(/^- \[.*?\]\((docs\/recipes\/.*?)\)/gm)].map(([, page]) => String(page));
  expect(listed.sort()).toEqual(pages.sort());
});

it('the documents link only to existing pages and headings', async () => {
  const documents = await readdir('docs', { recursive: true });
  const files = [
    'README.md',
    'ARCHITECTURE.md',
    ...documents.filter((name) => name.endsWith('.md')).map((name) => join('docs', name)),
  ];
  const headings = new Map(
    await Promise.all(files.map(async (file) => [file, anchorsOf(await readFile(file, 'utf8'))] as const)),
  );
  const broken: string[] = [];
  for (const file of files) {
    for (const [, path = '', anchor] of (await readFile(file, 'utf8')).matchAll(
      /\]\(([^)#:]*\.md)?(?:#([^)]*))?\)/g,
    )) {
      const target = path === '' ? file : join(file, '..', path);
      const anchors = headings.get(target);
      if (anchors === undefined || (anchor !== undefined && !anchors.includes(anchor)))
        broken.push(`${file}: ${path}#${anchor ?? ''}`);
    }
  }
  expect(broken).toEqual([]);
});

/** The anchors of headings, as GitHub creates them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    String(heading)
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}
