/** `npm run bench:docs`: writes docs/performance.md and its pictures from bench/results.json. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Results } from '../results.js';
import { pages } from './page.js';

const results = JSON.parse(await readFile('bench/results.json', 'utf8')) as Results;
await mkdir('docs/performance', { recursive: true });
for (const [path, text] of await pages(results)) await writeFile(join('docs', path), text);
