/** A running program of the rig: its output, the end of its log, its signals. It ends with this process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { guard } from './guard.js';

const LOG_TAIL = 6_000;

/** How to start a program: its path, and the first arguments. */
export type Program = readonly [path: string, ...fixed: string[]];

/** Thrown if a program that is needed has ended, or could not be started. */
export class RigProcessEnded extends Error {
  override readonly name = 'RigProcessEnded';
  /** The end of its standard error. */
  readonly log: string;

  constructor(program: string, how: string, log: string) {
    super(`${program} ${how}. Its last words:\n${log === '' ? '(none)' : log}`);
    this.log = log;
  }
}

export class RigProcess {
  readonly pid: number;
  /** Resolves when it has ended and all its output has been read. */
  readonly exited: Promise<void>;
  readonly #name: string;
  readonly #child: ChildProcess;
  #log = '';
  #ending: string | undefined;

  constructor(
    name: string,
    [path, ...fixed]: Program,
    args: readonly string[],
    onLine?: (line: string) => void,
    env: NodeJS.ProcessEnv = process.env,
  ) {
    this.#name = name;
    const output = onLine === undefined ? 'ignore' : 'pipe';
    this.#child = spawn(path, [...fixed, ...args], { stdio: ['ignore', output, 'pipe'], env });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString('utf8')).slice(-LOG_TAIL);
    });
    if (onLine !== undefined && this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', onLine);
    }
    // Without an id it could not be started; the reason comes as an 'error' event.
    this.pid = this.#child.pid ?? 0;
    if (this.pid !== 0) guard().watch(this.pid);
    this.exited = this.#untilExit();
  }

  /** @throws RigProcessEnded if it has ended. */
  assertRunning(): void {
    if (this.#ending !== undefined) throw new RigProcessEnded(this.#name, this.#ending, this.#log);
  }

  get log(): string {
    return this.#log;
  }

  get hasEnded(): boolean {
    return this.#ending !== undefined;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.hasEnded) this.#child.kill(signal);
  }

  /** Asks it to end, and kills it after `withinMs`. */
  async stop(withinMs: number): Promise<void> {
    this.signal('SIGTERM');
    this.signal('SIGCONT');
    const force = setTimeout(() => {
      this.signal('SIGKILL');
    }, withinMs);
    await this.exited;
    clearTimeout(force);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  #untilExit(): Promise<void> {
    return new Promise((resolve) => {
      this.#child.on('error', (error) => {
        if (this.pid !== 0) return;
        this.#ending = `could not be started (${error.message})`;
        resolve();
      });
      this.#child.on('exit', (code, signal) => {
        guard().forget(this.pid);
        this.#ending = signal === null ? `ended with code ${String(code)}` : `was ended by ${signal}`;
      });
      this.#child.on('close', () => {
        resolve();
      });
    });
  }
}
