import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildOnce } from './build-once.js';

let folder: string;
let builds = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'build-once-'));
  builds = 0;
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function build(unfinished: string): Promise<void> {
  builds += 1;
  await writeFile(unfinished, 'built');
}

it('builds once for concurrent callers', async () => {
  const target = join(folder, 'made', 'program');
  await Promise.all([0, 1, 2].map(() => buildOnce(target, build)));
  expect(builds).toBe(1);
  expect(await readFile(target, 'utf8')).toBe('built');
});

it('takes the lock of a process that has died', async () => {
  const target = join(folder, 'program');
  await writeFile(`${target}.lock`, '4194999');
  await buildOnce(target, build);
  expect(builds).toBe(1);
});

it('leaves nothing behind when a build fails', async () => {
  const target = join(folder, 'program');
  const failing = buildOnce(target, () => Promise.reject(new Error('no disk')));
  await expect(failing).rejects.toThrow('no disk');
  await buildOnce(target, build);
  expect(builds).toBe(1);
});

it('builds a folder, too, and leaves nothing behind when that fails', async () => {
  const target = join(folder, 'kit');
  const half = async (unfinished: string): Promise<void> => {
    await mkdir(unfinished);
    throw new Error('no disk');
  };
  await expect(buildOnce(target, half)).rejects.toThrow('no disk');
  expect(await readdir(folder)).toEqual([]);
  await buildOnce(target, async (unfinished) => {
    await mkdir(unfinished);
    await build(join(unfinished, 'program'));
  });
  expect(await readFile(join(target, 'program'), 'utf8')).toBe('built');
});
