/**
 * Ends the processes that this one started when this one ends, in whatever way: by SIGKILL, by Ctrl-C in a terminal, or
 * by a test runner that terminates its worker, in which case no handler runs. A shell holds the other end of a pipe,
 * knows what runs, and acts when the kernel closes the pipe.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Each line is the complete list of process ids, so the last one counts. The folder is removed twice, because a file may just have been written. */
const SCRIPT = `
trap '' INT TERM HUP
while IFS= read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`;

export class Guard {
  /** A folder for files that must not outlive this process. */
  readonly folder: string;
  readonly #shell: ChildProcess;
  readonly #watched = new Set<number>();

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-rig-'));
    // Detached: a Ctrl-C reaches the whole group of the terminal, and must not reach the guard.
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'rig-guard', this.folder], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Neither may keep this process alive, and the end of the guard must not end the tests.
    this.#shell.unref();
    this.#shell.on('error', () => undefined);
    this.#shell.stdin?.on('error', () => undefined);
    (this.#shell.stdin as Socket | null)?.unref();
  }

  watch(pid: number): void {
    this.#watched.add(pid);
    this.#tell();
  }

  /** Call it as soon as the process has ended, because its id may soon be reused. */
  forget(pid: number): void {
    this.#watched.delete(pid);
    this.#tell();
  }

  /** Ends the watched processes now, as the end of this process would. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#shell.once('close', resolve));
    this.#shell.ref();
    this.#shell.stdin?.end();
    await closed;
  }

  #tell(): void {
    this.#shell.stdin?.write(`${[...this.#watched].join(' ')}\n`);
  }
}

let ours: Guard | undefined;

/** The guard of this process. */
export function guard(): Guard {
  ours ??= new Guard();
  return ours;
}

/** A new folder, which is removed with this process at the latest. */
export function scratchFolder(purpose: string): Promise<string> {
  return mkdtemp(join(guard().folder, `${purpose}-`));
}
