import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** How to start a contender of one kind for one lease. */
export interface ContenderCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** What a contender said. */
export interface ContenderEvent {
  readonly event: 'ready' | 'started' | 'stopped' | 'leader';
  /** Milliseconds of the machine's monotonic clock. */
  readonly at: number;
}

/** A contender that runs. */
export class ContenderProcess {
  readonly identity: string;
  readonly events: ContenderEvent[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #errors = '';

  constructor(identity: string, { program, args, environment }: ContenderCommand, onEvent: () => void) {
    this.identity = identity;
    this.#child = spawn(program, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString('utf8')).slice(-2_000);
    });
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        const { event, monotonicNs } = JSON.parse(line) as {
          event: ContenderEvent['event'];
          monotonicNs: string;
        };
        this.events.push({ event, at: Number(BigInt(monotonicNs)) / 1e6 });
        onEvent();
      });
    }
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => {
        resolve();
        onEvent();
      });
    });
  }

  /** Whether it said that after `at`, and when. */
  saidAfter(event: ContenderEvent['event'], at: number): number | undefined {
    return this.events.find((said) => said.event === event && said.at > at)?.at;
  }

  get errors(): string {
    return this.#errors;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
    await this.#exited;
  }
}
