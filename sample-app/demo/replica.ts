import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ReplicaMessage, ReplicaOrder } from '../replica-report.js';
import type { ProcessState } from './page/recording.js';

export interface ReplicaSettings {
  readonly identity: string;
  /** The program to run, relative to this file. */
  readonly program: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly onMessage: (message: ReplicaMessage) => void;
  readonly onState: (state: ProcessState) => void;
  readonly onExit: (how: string) => void;
}

const LOG_TAIL = 4_000;

/** One process of the sample application, or of a program that reports like it. */
export class Replica {
  readonly identity: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #onState: (state: ProcessState) => void;
  #state: ProcessState = 'starting';
  #log = '';

  constructor({ identity, program, environment, onMessage, onState, onExit }: ReplicaSettings) {
    this.identity = identity;
    this.#onState = onState;
    this.#child = fork(fileURLToPath(new URL(program, import.meta.url)), {
      env: {
        ...process.env,
        ...environment,
        IDENTITY: identity,
        HOST: '127.0.0.1',
        PORT: '0',
        NO_COLOR: '1',
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A process group of its own: Ctrl+C at the terminal is for the demo, which then stops its replicas.
      detached: true,
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString('utf8')).slice(-LOG_TAIL);
      });
    }
    this.#child.on('message', (message) => {
      if ((message as ReplicaMessage).type === 'ready' && this.#state === 'starting') this.#state = 'running';
      onMessage(message as ReplicaMessage);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        this.#become('gone');
        onExit(signal ?? `code ${String(code)}`);
        resolve();
      });
    });
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** The last lines of its log. */
  get log(): string {
    return this.#log;
  }

  /** Sends SIGTERM, so that it hands over and ends. Resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#state === 'gone') return;
    this.#become('stopping');
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGTERM');
    await this.#exited;
  }

  /** Sends SIGKILL. Resolves when it has ended. */
  async kill(): Promise<void> {
    if (this.#state === 'gone') return;
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  freeze(): void {
    this.#become('frozen');
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#become('running');
    this.#child.kill('SIGCONT');
  }

  /** Makes it throw an exception that nobody catches. */
  crash(): void {
    this.#child.send('crash' satisfies ReplicaOrder);
  }

  #become(state: ProcessState): void {
    this.#state = state;
    this.#onState(state);
  }
}
