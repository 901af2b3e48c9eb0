/**
 * Ends what this process started when this process ends, in whatever way: also by SIGKILL, by Ctrl-C in a terminal, or
 * by a test runner that terminates its worker, where no handler of ours runs. A shell holds the other end of a pipe,
 * is told what runs, and acts when the pipe closes, which the kernel does for us.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Each line is the whole list of process ids, so the last one counts. Once more after a second: a file may just be written. */
const SCRIPT = `
trap '' INT TERM HUP
while IFS= read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`;

export class Guard {
  /** Folder for what must not outlive this process. */
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
    // Neither may keep this process alive, and a guard that somebody ended must not end the tests.
    this.#shell.unref();
    this.#shell.on('error', () => undefined);
    this.#shell.stdin?.on('error', () => undefined);
    (this.#shell.stdin as Socket | null)?.unref();
  }

  watch(pid: number): void {
    this.#watched.add(pid);
    this.#tell();
  }

  /** To be called as soon as the process has ended: its id may soon be another's. */
  forget(pid: number): void {
    this.#watched.delete(pid);
    this.#tell();
  }

  /** Does now what the end of this process would do. */
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

/** A fresh folder, gone at the latest with this process. */
export function scratchFolder(purpose: string): Promise<string> {
  return mkdtemp(join(guard().folder, `${purpose}-`));
}
