/** A program of the rig that runs: its log's end, its signals, its end with ours. */
import { spawn, type ChildProcess } from 'node:child_process';

const LOG_TAIL = 6_000;
const PATIENCE_WITH_STOP_MS = 15_000;

const running = new Set<ServerProcess>();
process.on('exit', () => {
  for (const server of running) server.signal('SIGKILL');
});

export class ServerProcess {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #log = '';
  #hasExited = false;

  constructor(name: string, [program, ...fixed]: readonly string[], args: readonly string[]) {
    this.#name = name;
    this.#child = spawn(String(program), [...fixed, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString('utf8')).slice(-LOG_TAIL);
    });
    running.add(this);
    this.#exited = new Promise((resolve) => {
      this.#child.on('close', () => {
        this.#hasExited = true;
        running.delete(this);
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws Error with the log's end when the program has ended by itself. */
  assertRunning(): void {
    if (!this.#hasExited) return;
    throw new Error(
      `${this.#name} ended with code ${String(this.#child.exitCode)}. Its last words:\n${this.#log}`,
    );
  }

  get log(): string {
    return this.#log;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#hasExited) this.#child.kill(signal);
  }

  /** Asks it to end, and ends it when it does not. */
  async stop(): Promise<void> {
    this.signal('SIGCONT');
    this.signal('SIGTERM');
    const force = setTimeout(() => {
      this.signal('SIGKILL');
    }, PATIENCE_WITH_STOP_MS);
    await this.#exited;
    clearTimeout(force);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#exited;
  }
}
