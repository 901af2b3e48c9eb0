/**
 * A broken set-up, and exactly what the person sees who is woken by it: the log, the metrics and the health of each replica,
 * and what the command line prints. Replicas are real Nest applications in this process.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { INestApplicationContext, LoggerService, ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Registry } from 'prom-client';
import { expect } from 'vitest';
import {
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import { run } from '../../lib/cli/program.js';
import { prometheusMetrics } from '../../lib/metrics/prometheus.js';
import { scratchFolder } from '../rig/guard.js';
import { entriesFor } from './troubleshooting-page.js';

/** Short times, so that a lost term takes a second. */
const BRISK = {
  leaseDuration: 2_000,
  renewDeadline: 1_000,
  retryPeriod: 200,
  preflight: 'off',
} as const;

/** Where to write what was shown, for somebody who is to find the cause with nothing else. */
const FOLDER = process.env['SHOWN_FOLDER'];

/** One replica of an application. */
export interface Replica {
  readonly name: string;
  readonly app: INestApplicationContext;
  readonly leader: LeaderService;
  /** Ends the replica as SIGTERM does. */
  stop(): Promise<void>;
}

interface Waiting {
  readonly pattern: RegExp;
  readonly resolve: (line: string) => void;
}

/** One night: replicas, and what they show. */
export class Night {
  readonly #replicas: { readonly replica: Replica; readonly registry: Registry }[] = [];
  readonly #lines: string[] = [];
  readonly #printed: string[] = [];
  readonly #waiting: Waiting[] = [];
  /** Which replica runs: a log of this process would not say so. */
  readonly #running = new AsyncLocalStorage<string>();

  /** Starts a replica of the application `name`. */
  async replica(
    name: string,
    options: LeaderElectionModuleOptions,
    providers: ModuleMetadata['providers'] = [],
  ): Promise<Replica> {
    return this.#running.run(name, async () => {
      const registry = new Registry();
      class Application {}
      const election = LeaderElectionModule.forRoot({
        leaseNamespace: 'default',
        ...BRISK,
        metrics: prometheusMetrics(registry),
        ...options,
      });
      const app = await NestFactory.createApplicationContext(
        { module: Application, imports: [election], providers },
        { logger: this.#logger, abortOnError: false },
      );
      let stopping: Promise<void> | undefined;
      const stop = (): Promise<void> => (stopping ??= this.#running.run(name, () => app.close()));
      const replica = { name, app, leader: app.get(LeaderService), stop };
      this.#replicas.push({ replica, registry });
      return replica;
    });
  }

  get replicas(): readonly Replica[] {
    return this.#replicas.map(({ replica }) => replica);
  }

  /** The log so far. */
  get log(): string {
    return this.#lines.join('\n');
  }

  /** Resolves when a line of the log matches, also an earlier one. */
  line(pattern: RegExp): Promise<string> {
    const known = this.#lines.find((line) => pattern.test(line));
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => {
      this.#waiting.push({ pattern, resolve });
    });
  }

  /** Resolves with the replica that leads. */
  async led(): Promise<Replica> {
    const stop = new AbortController();
    try {
      return await Promise.race(
        this.replicas.map((replica) =>
          replica.leader.whenLeader({ signal: stop.signal }).then(() => replica),
        ),
      );
    } finally {
      stop.abort();
    }
  }

  /** Runs the command line with this kubeconfig, and keeps what it prints. */
  async command(kubeconfig: string, ...args: readonly string[]): Promise<void> {
    const path = join(await scratchFolder('night'), 'kubeconfig.yaml');
    await writeFile(path, kubeconfig, { mode: 0o600 });
    this.#printed.push(`$ npx nestjs-leader ${args.join(' ')}`);
    await run(
      {
        write: (text) => this.#printed.push(text.trimEnd()),
        warn: (line) => this.#printed.push(line),
        isInteractive: false,
        columns: undefined,
        rows: undefined,
        ask: () => Promise.resolve('n'),
        env: {},
        signal: new AbortController().signal,
      },
      [...args, '--kubeconfig', path],
    );
  }

  /** What is shown now. */
  async shown(): Promise<Shown> {
    const metrics: string[] = [];
    const health: string[] = [];
    for (const { replica, registry } of this.#replicas) {
      metrics.push(`# ${replica.name}`, ...(await seriesOf(registry)));
      health.push(
        `${replica.name}: ${JSON.stringify(replica.app.get(LeaderHealthIndicator).isHealthy().leader)}`,
      );
    }
    return new Shown(this.log, metrics.join('\n'), health.join('\n'), this.#printed.join('\n'));
  }

  async end(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
  }

  readonly #logger: LoggerService = {
    log: (...message) => {
      this.#write('LOG', message);
    },
    warn: (...message) => {
      this.#write('WARN', message);
    },
    error: (...message) => {
      this.#write('ERROR', message);
    },
  };

  #write(level: string, message: readonly unknown[]): void {
    if (message.at(-1) !== 'LeaderElection') return;
    const line = `[${this.#running.getStore() ?? '?'}] ${level.padEnd(5)} [LeaderElection] ${String(message[0])}`;
    this.#lines.push(line);
    for (const waiting of this.#waiting.splice(0))
      if (waiting.pattern.test(line)) waiting.resolve(line);
      else this.#waiting.push(waiting);
  }
}

/** All that is known without knowing what was broken. */
class Shown {
  constructor(
    readonly log: string,
    readonly metrics: string,
    readonly health: string,
    readonly printed: string,
  ) {}

  get all(): string {
    return [
      ['the log of all replicas', this.log],
      ['metrics, without buckets and series that are 0', this.metrics],
      ['health checks', this.health],
      ['command line', this.printed],
    ]
      .filter(([, text]) => text !== '')
      .map(([title, text]) => `== ${String(title)}\n\n${String(text)}\n`)
      .join('\n');
  }

  /** Expects that `key`, a code or words of a log line, was shown, and that its entry on the page names the cause. */
  leadsTo(key: string, cause: RegExp): void {
    const entry = entriesFor(this.all).find((one) => one.key === key);
    expect(entry, `${key} in:\n${this.all}`).toBeDefined();
    expect(entry?.parts['Cause']).toMatch(cause);
  }

  /** Keeps it for somebody who does not know what was broken, if there is a folder for that. */
  keep(number: number): void {
    if (FOLDER !== undefined) writeFileSync(join(FOLDER, `night-${String(number)}.txt`), this.all);
  }
}

async function seriesOf(registry: Registry): Promise<string[]> {
  const lines = (await registry.metrics()).split('\n');
  return lines.filter(
    (line) => line.startsWith('leader_election') && !/_bucket|_sum/.test(line) && !line.endsWith(' 0'),
  );
}
