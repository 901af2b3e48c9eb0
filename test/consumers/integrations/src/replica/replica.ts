/** A replica, as a spec sees it: what it prints, and how to order it about. */
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { LeaderElectionModuleOptions } from 'nestjs-leader';
import type { LeaseApiServer } from 'nestjs-leader/testing';
import { afterEach } from 'vitest';
import type { Line, Order, Setup } from './setup.js';

const PROGRAM = join(import.meta.dirname, '../../build/replica/main.js');

const started = new Set<Replica>();
afterEach(async () => {
  const last = [...started];
  started.clear();
  await Promise.all(last.map((replica) => replica.kill()));
});

type Facts = Readonly<Record<string, unknown>>;

export class Replica {
  readonly identity: string;
  /** All that it has told, oldest first. */
  readonly lines: Line[] = [];
  /** The exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #process: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #hasExited = false;

  constructor(identity: string, setup: Setup) {
    this.identity = identity;
    this.#process = spawn(process.execPath, [PROGRAM], {
      env: { ...process.env, SETUP: JSON.stringify(setup) },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const output = createInterface({ input: this.#process.stdout as NodeJS.ReadableStream });
    output.on('line', (line) => {
      this.lines.push(JSON.parse(line) as Line);
      this.#look();
    });
    this.exited = new Promise((resolve) => {
      this.#process.once('close', (code, signal) => {
        this.#hasExited = true;
        this.#look();
        resolve(code ?? (signal as NodeJS.Signals));
      });
    });
    started.add(this);
  }

  /** The first line, told already or yet to come, of that event and with these facts, from line `from` on. */
  async told(event: string, facts: Facts = {}, from = 0): Promise<Line> {
    for (;;) {
      const found = this.lines.slice(from).find((line) => matches(line, event, facts));
      if (found !== undefined) return found;
      if (this.#hasExited)
        throw new Error(`${this.identity} ended without telling '${event}': ${this.#story()}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** The log line that holds `text`, told already or yet to come. */
  async logged(text: string): Promise<Line> {
    for (;;) {
      const found = this.log.find(({ message }) => String(message).includes(text));
      if (found !== undefined) return found;
      if (this.#hasExited)
        throw new Error(`${this.identity} ended without logging '${text}': ${this.#story()}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  get log(): Line[] {
    return this.lines.filter(({ event }) => event === 'log');
  }

  /** Where the first such line is; -1: nowhere. */
  at(event: string, facts: Facts = {}): number {
    return this.lines.findIndex((line) => matches(line, event, facts));
  }

  order(order: Order): void {
    this.#process.send(order);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.exited;
  }

  #look(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const look of waiting) look();
  }

  #story(): string {
    return this.lines.map((line) => JSON.stringify(line)).join('\n');
  }
}

function matches(line: Line, event: string, facts: Facts): boolean {
  return line.event === event && Object.entries(facts).every(([fact, value]) => line[fact] === value);
}

type ReplicaSetup = Partial<Omit<Setup, 'election'>> & {
  readonly election?: Partial<LeaderElectionModuleOptions>;
};

/** Starts replicas of one election on `server`. */
export function replicasOn(server: LeaseApiServer, common: Partial<LeaderElectionModuleOptions> = {}) {
  return async (identity: string, setup: ReplicaSetup = {}): Promise<Replica> => {
    const replica = new Replica(identity, {
      shutdownHooks: true,
      ...setup,
      election: {
        leaseName: 'billing',
        leaseNamespace: 'default',
        identity,
        leaseDuration: 3_000,
        renewDeadline: 2_000,
        retryPeriod: 300,
        renewInterval: 300,
        ...common,
        ...setup.election,
        // The server takes the token for the user's name, so that its log and its faults tell replicas apart.
        kubernetes: { server: server.url, token: identity },
      },
    });
    await replica.told('listening');
    return replica;
  };
}
