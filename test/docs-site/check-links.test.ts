/** What the build of the documentation site checks at its end. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { deadLinks } from '../../docs/.vitepress/check-links.js';
import { scratchFolder } from '../rig/guard.js';

it('links of the site to pages, headings and files that are not there are found, and no others', async () => {
  const folder = await scratchFolder('site');
  await mkdir(join(folder, 'docs'));
  await writeFile(
    join(folder, 'docs/gate.html'),
    `<h2 id="options">Options</h2><h2 id="größe">Größe</h2>
     <a href="#options">a heading</a> <a href="#gr%C3%B6%C3%9Fe">one with letters of its own</a>
     <a class="x" href="/base/">the first page</a> <a href="../index.html?a=1&amp;b=2">the same</a>
     <a href="https://kubernetes.io/docs/">elsewhere</a> <a href="mailto:us">mail</a> <img src="picture.svg">
     <a href="#missing">no heading</a> <a href="/base/docs/missing.html">no page</a> <a href="/docs/gate.html">outside</a>
     <img alt="" src="missing.svg">`,
  );
  await writeFile(join(folder, 'docs/picture.svg'), '<svg/>');
  await writeFile(
    join(folder, 'index.html'),
    '<a href="/base/docs/gate.html#options"></a> <a href="docs/gate.html#none">x</a> <a href="/base/docs/">no index</a>',
  );

  expect(deadLinks(folder, '/base/').sort()).toEqual([
    'docs/gate.html: #missing',
    'docs/gate.html: /base/docs/missing.html',
    'docs/gate.html: /docs/gate.html',
    'docs/gate.html: missing.svg',
    'index.html: /base/docs/',
    'index.html: docs/gate.html#none',
  ]);
});
