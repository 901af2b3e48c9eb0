import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ReplicaMessage } from '../replica-report.js';

/** The state of a replica process. */
export type ReplicaState = 'starting' | 'running' | 'frozen' | 'stopping' | 'gone';

export interface ReplicaSettings {
  readonly identity: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly onMessage: (message: ReplicaMessage) => void;
  readonly onExit: (how: string) => void;
}

const LOG_TAIL = 4_000;

/** One process of the sample application. */
export class Replica {
  readonly identity: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #state: ReplicaState = 'starting';
  #log = '';

  constructor({ identity, environment, onMessage, onExit }: ReplicaSettings) {
    this.identity = identity;
    this.#child = fork(fileURLToPath(new URL('../main.js', import.meta.url)), {
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
      if ((message as ReplicaMessage).type === 'ready') this.#state = 'running';
      onMessage(message as ReplicaMessage);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        this.#state = 'gone';
        onExit(signal ?? `code ${String(code)}`);
        resolve();
      });
    });
  }

  get state(): ReplicaState {
    return this.#state;
  }

  /** The last lines of its log. */
  get log(): string {
    return this.#log;
  }

  /** Sends SIGTERM, so that it hands over and ends. Resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#state === 'gone') return;
    this.#state = 'stopping';
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
    this.#state = 'frozen';
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#state = 'running';
    this.#child.kill('SIGCONT');
  }
}
