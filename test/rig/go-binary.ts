/** Go programs of the rig, built once and kept outside the tree. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { buildOnce } from './build-once.js';
import { guard } from './guard.js';

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
const PROGRESS_EVERY_MS = 10_000;
const LOG_TAIL = 4_000;
const REMEDY =
  'It needs the modules of go.sum (from the Go module cache or proxy) and about 4 GB of disk; the API server ' +
  'needs no build when KUBEBUILDER_ASSETS names a folder with kube-apiserver and etcd.';

/** Neither a workspace around this one nor the user's flags decide what is built. */
const environment = (): NodeJS.ProcessEnv => ({ ...process.env, CGO_ENABLED: '0', GOWORK: 'off' });

/** Why `goBinary` cannot give this program here; undefined when it can. */
export function whyNoGoBinary(program: GoProgram): string | undefined {
  if (existsSync(pathOf(program))) return undefined;
  // Reads go.mod, so it also tells a Go that is too old for it.
  const { status, error, stderr } = spawnSync('go', ['list', '-mod=readonly', '-m'], {
    cwd: join(RIG, program.folder),
    env: environment(),
    encoding: 'utf8',
  });
  if (error !== undefined) return `Go (go.dev) cannot be run (${error.message})`;
  return status === 0 ? undefined : `Go cannot build test/rig/${program.folder}: ${stderr.trim()}`;
}

/**
 * The path of the built program. The first call of all takes minutes and says on standard error how it goes; what it
 * builds is kept in the user's cache folder under the hash of the module's files.
 */
export async function goBinary(program: GoProgram): Promise<string> {
  const binary = pathOf(program);
  if (existsSync(binary)) return binary;
  const title = `test/rig/${program.folder}`;
  const waiting = new Progress(`waiting for another process that builds ${title}`);
  try {
    await buildOnce(
      binary,
      (unfinished) => build(program, title, unfinished),
      () => {
        waiting.start();
      },
    );
  } finally {
    waiting.end();
  }
  return binary;
}

function pathOf({ folder, ldflags }: GoProgram): string {
  const source = join(RIG, folder);
  const hash = createHash('sha256').update(ldflags);
  const files = readdirSync(source).filter((file) => /^go\.(mod|sum)$|\.go$/.test(file));
  for (const file of files.sort()) hash.update(file).update(readFileSync(join(source, file)));
  // Empty counts as unset, as the XDG base directory specification has it.
  const chosen = process.env['XDG_CACHE_HOME'] ?? '';
  const caches = chosen === '' ? join(homedir(), '.cache') : chosen;
  return join(caches, 'nestjs-leader', 'rig', hash.digest('hex').slice(0, 16), folder);
}

async function build({ folder, ldflags }: GoProgram, title: string, output: string): Promise<void> {
  const progress = new Progress(`building ${title} with Go (once, and for some minutes)`);
  progress.start();
  try {
    const flags = ['-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags', `-s -w ${ldflags}`];
    await runGo(join(RIG, folder), ['build', ...flags, '-o', output, '.']);
  } finally {
    progress.end();
  }
}

function runGo(cwd: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, { cwd, env: environment(), stdio: ['ignore', 'ignore', 'pipe'] });
    const { pid } = child;
    if (pid !== undefined) guard().watch(pid);
    let output = '';
    child.stderr.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-LOG_TAIL);
    });
    child.on('error', reject);
    child.on('exit', () => {
      if (pid !== undefined) guard().forget(pid);
    });
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`"go build" failed in ${cwd} with code ${String(code)}. ${REMEDY}\n${output}`));
    });
  });
}

/** Says on standard error what goes on, at once and again every ten seconds, and how long it took. */
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
