/** The rig's builds, and the cache outside the source tree where they are kept. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildOnce } from './build-once.js';
import { guard } from './guard.js';

/** The rig's folder in the source tree, even if this file runs compiled from elsewhere. */
export const RIG = join(
  dirname(createRequire(import.meta.url).resolve('nestjs-leader/package.json')),
  'test',
  'rig',
);
const PROGRESS_EVERY_MS = 10_000;
const LOG_TAIL = 4_000;

/** The path in the user's cache folder for a build from sources with this hash. */
export function cachePath(hash: string, name: string): string {
  // Empty counts as unset, as the XDG base directory specification has it.
  const chosen = process.env['XDG_CACHE_HOME'] ?? '';
  const caches = chosen === '' ? join(homedir(), '.cache') : chosen;
  return join(caches, 'nestjs-leader', 'rig', hash.slice(0, 16), name);
}

/** Builds `target`, a file or a folder, unless it exists. Reports its progress on standard error. */
export async function buildInCache(
  target: string,
  title: string,
  duration: string,
  build: (unfinished: string) => Promise<void>,
): Promise<string> {
  if (existsSync(target)) return target;
  const waiting = new Progress(`waiting for another process that builds ${title}`);
  const building = new Progress(`building ${title} (once, and for ${duration})`);
  try {
    await buildOnce(
      target,
      (unfinished) => {
        building.start();
        return build(unfinished);
      },
      () => {
        waiting.start();
      },
    );
  } finally {
    building.end();
    waiting.end();
  }
  return target;
}

/** The command of one step of a build. */
export interface BuildCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
  /** What the build needs, for the error. */
  readonly remedy: string;
}

/** Runs the command. It is ended with this process. */
export function runBuild({ command, args, cwd, env, remedy }: BuildCommand): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
    const { pid } = child;
    if (pid !== undefined) guard().watch(pid);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString('utf8')).slice(-LOG_TAIL);
      });
    }
    child.on('error', reject);
    child.on('exit', () => {
      if (pid !== undefined) guard().forget(pid);
    });
    child.on('close', (code) => {
      if (code === 0) resolve();
      else {
        const what = [command, ...args.slice(0, 2)].join(' ');
        reject(new Error(`"${what}" failed in ${cwd} with code ${String(code)}. ${remedy}\n${output}`));
      }
    });
  });
}

/** Reports on standard error what is going on, at once and every ten seconds, and how long it took. */
class Progress {
  readonly #what: string;
  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(what: string) {
    this.#what = what;
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#startedAt = Date.now();
    this.#say('');
    this.#timer = setInterval(() => {
      this.#say(`: ${this.#elapsed()}`);
    }, PROGRESS_EVERY_MS);
  }

  end(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#say(`: over after ${this.#elapsed()}`);
  }

  #elapsed(): string {
    return `${String(Math.round((Date.now() - this.#startedAt) / 1000))} s`;
  }

  #say(rest: string): void {
    process.stderr.write(`[rig] ${this.#what}${rest}\n`);
  }
}
