/** Go programs of the rig, built once and kept outside the tree. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** A Go module of the rig. */
export interface GoProgram {
  /** Its folder beside this file. */
  readonly folder: string;
  readonly ldflags: string;
}

/** In the source tree, also when this file runs compiled from elsewhere. */
const RIG = join(
  dirname(createRequire(import.meta.url).resolve('nestjs-leader/package.json')),
  'test',
  'rig',
);
const PROGRESS_EVERY_MS = 15_000;

export function hasGo(): boolean {
  return spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0;
}

/**
 * The path of the built program. The first call of all takes minutes and says on standard error how it goes; what it
 * builds is kept in the user's cache folder under the hash of the module's files.
 */
export async function goBinary({ folder, ldflags }: GoProgram): Promise<string> {
  const source = join(RIG, folder);
  const binary = join(cacheFolder(), hashOf(source, ldflags), folder);
  if (existsSync(binary)) return binary;
  await mkdir(join(binary, '..'), { recursive: true });
  // Built aside and moved: two processes may build at once, and one may be ended in the middle.
  const unfinished = `${binary}.${String(process.pid)}`;
  try {
    await build(source, unfinished, ldflags);
    await rename(unfinished, binary);
  } finally {
    await rm(unfinished, { force: true });
  }
  return binary;
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'nestjs-leader', 'rig');
}

function hashOf(source: string, ldflags: string): string {
  const hash = createHash('sha256').update(ldflags);
  for (const file of readdirSync(source).sort()) hash.update(file).update(readFileSync(join(source, file)));
  return hash.digest('hex').slice(0, 16);
}

async function build(source: string, output: string, ldflags: string): Promise<void> {
  const startedAt = Date.now();
  const say = (text: string): void => {
    process.stderr.write(`[rig] ${text}\n`);
  };
  say(`building ${source} with Go; the first time this takes some minutes, mostly for compiling Kubernetes`);
  const progress = setInterval(() => {
    say(`still building (${String(Math.round((Date.now() - startedAt) / 1000))} s)`);
  }, PROGRESS_EVERY_MS);
  try {
    await go(source, ['build', '-trimpath', '-ldflags', `-s -w ${ldflags}`, '-o', output, '.']);
    say(`built in ${String(Math.round((Date.now() - startedAt) / 1000))} s`);
  } finally {
    clearInterval(progress);
  }
}

function go(cwd: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, {
      cwd,
      env: { ...process.env, CGO_ENABLED: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let output = '';
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-4_000);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`go ${args.join(' ')} failed in ${cwd} with code ${String(code)}:\n${output}`));
    });
  });
}
