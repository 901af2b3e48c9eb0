import { setTimeout as pause } from 'node:timers/promises';
import { ContenderProcess, type ContenderCommand } from './contender-process.js';

/** Makes the command of one contender. */
export type CommandFor = (identity: string, leaseName: string) => ContenderCommand;

/** What ends a leader in a trial. */
export type Blow = 'SIGTERM' | 'SIGKILL';

/** A failover as it was seen. All in milliseconds of the machine's monotonic clock. */
export interface Failover {
  readonly struckAt: number;
  readonly nextLeadsAt: number;
}

const CONTENDERS = 3;
const PATIENCE_MS = 60_000;
/** So that the followers have looked, and their watches are open, before a leader is struck. */
const SETTLE_MS = 1_500;
const ARRIVAL_MS = 300;
/** How long before its leader is struck something goes wrong with each follower, where that is measured. */
const BEFORE_MS = 2;

/** Three contenders of one kind on one lease, whose leader is struck again and again. */
export class Contest {
  readonly leaseName: string;
  readonly #commandFor: CommandFor;
  readonly #contenders: ContenderProcess[] = [];
  readonly #obstructsFollowers: boolean;
  #started = 0;
  #wake: () => void = () => undefined;

  /** @param obstructsFollowers Send them SIGUSR2 just before the leader is struck. */
  constructor(leaseName: string, commandFor: CommandFor, obstructsFollowers: boolean) {
    this.leaseName = leaseName;
    this.#commandFor = commandFor;
    this.#obstructsFollowers = obstructsFollowers;
  }

  async start(): Promise<void> {
    const since = now();
    for (let place = 0; place < CONTENDERS; place += 1) this.#start();
    await this.#until('a first leader', () => this.#leaderSince(since));
  }

  /**
   * Strikes the leader, waits for the next, puts a new contender in the place of the struck one. `look` is called when
   * the leader has been struck and what it had sent has arrived.
   */
  async strike(blow: Blow, look: () => Promise<void>): Promise<Failover> {
    const leader = await this.#until('a leader', () => this.#leader());
    await pause(SETTLE_MS);
    if (this.#obstructsFollowers) {
      for (const contender of this.#contenders) if (contender !== leader) contender.signal('SIGUSR2');
      await pause(BEFORE_MS);
    }
    const struckAt = now();
    leader.signal(blow);
    const looked = pause(ARRIVAL_MS).then(look);
    const nextLeadsAt = await this.#until(`the next leader after ${blow}`, () => this.#leaderSince(struckAt));
    await Promise.all([leader.end('SIGKILL'), looked]);
    this.#contenders.splice(this.#contenders.indexOf(leader), 1);
    const successor = this.#start();
    await this.#until(
      'the new contender to be ready',
      () => successor.saidAfter('leader', 0) ?? successor.saidAfter('started', 0),
    );
    return { struckAt, nextLeadsAt };
  }

  async end(): Promise<void> {
    await Promise.all(this.#contenders.map((contender) => contender.end('SIGKILL')));
  }

  #start(): ContenderProcess {
    this.#started += 1;
    const identity = `${this.leaseName}-${String(this.#started)}`;
    const contender = new ContenderProcess(identity, this.#commandFor(identity, this.leaseName), () => {
      this.#wake();
    });
    this.#contenders.push(contender);
    return contender;
  }

  #leader(): ContenderProcess | undefined {
    return this.#contenders.find(({ events }) => {
      const last = events.findLast(({ event }) => event === 'started' || event === 'stopped');
      return last?.event === 'started';
    });
  }

  #leaderSince(at: number): number | undefined {
    const times = this.#contenders.map((contender) => contender.saidAfter('started', at));
    return times.find((time) => time !== undefined);
  }

  #until<T>(what: string, look: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const errors = this.#contenders.map((contender) => contender.errors).join('\n');
        reject(
          new Error(
            `${this.leaseName}: waited ${String(PATIENCE_MS / 1000)} s in vain for ${what}. ${errors}`,
          ),
        );
      }, PATIENCE_MS);
      this.#wake = () => {
        const found = look();
        if (found === undefined) return;
        clearTimeout(timer);
        resolve(found);
      };
      this.#wake();
    });
  }
}

export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
