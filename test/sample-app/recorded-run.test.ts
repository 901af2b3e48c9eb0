/** The recorded run in the documentation is one that today's page shows, and loads nothing. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import type * as pages from '../../sample-app/demo/page/document.js';
import type { Recording } from '../../sample-app/demo/page/recording.js';

const FILE = 'docs/demo/run.html';

it('docs/demo/run.html is what the demo writes today: else run `npm run demo -- --script failover --record docs/demo/run.html`', async () => {
  // The built module, because the page's script is compiled.
  const built = pathToFileURL(resolve('build/sample-app/demo/page/document.js')).href;
  const { pageDocument } = (await import(built)) as typeof pages;
  const file = await readFile(FILE, 'utf8');
  const [, data = ''] = /<script type="application\/json" id="recording">(.*?)<\/script>/s.exec(file) ?? [];
  const recording = JSON.parse(data) as Recording;
  expect(pageDocument(recording) === file, `${FILE} has the page of today`).toBe(true);
  expect(recording.events.filter(({ kind }) => kind === 'handOver').map(({ cause }) => cause)).toEqual([
    'SIGTERM',
    'SIGKILL',
    'SIGSTOP',
  ]);
  expect(recording.events.filter(({ kind }) => kind === 'broken')).toEqual([]);
});

it('docs/demo/run.html is small, and names no other file or host', async () => {
  expect((await stat(FILE)).size).toBeLessThan(200_000);
  const page = (await readFile(FILE, 'utf8')).replace(/<script type="application\/json".*?<\/script>/s, '');
  expect(page.match(/(?:src|href|url)\s*[=(]\s*["']?(?!data:|run\.html)[^"')\s]+/g) ?? []).toEqual([]);
  expect(page).not.toMatch(/https?:\/\//);
});
