import 'reflect-metadata';
import { InvalidOptionsError, SystemClock, pause } from '../../election/internal.js';
import type { ElectionExplorer } from '../election.explorer.js';
import { settingsOf } from '../gate/gate.js';
import { gateOn } from '../gate/gate-key.js';
import type { LeaderService } from '../leader.service.js';
import { BULL_PROCESS } from './jobs.js';

/** Metadata of a class: the queue whose jobs it processes. */
const QUEUE = 'bull:module_queue';

/** Bull gives its connection half a second to end. */
const LONGEST_PAUSE_MS = 2_000;

/** The members of a Bull queue that this package uses, all of them public. */
interface Queue {
  /** Of this process only, if `isLocal`. Other processes, and whoever adds jobs, are not affected. */
  pause(isLocal: boolean, doNotWaitActive: boolean): Promise<void>;
  resume(isLocal: boolean, ignored: boolean): Promise<void>;
}

interface Processor {
  readonly queue: string;
  /** The class and the method. */
  readonly name: string;
  /** The election whose gate it has; undefined without a gate. */
  readonly election: string | undefined;
  /** Whether it has several gates: the queue would bring jobs that the inner one puts back, again and again. */
  readonly isStacked: boolean;
}

/**
 * The queues of @nestjs/bull whose processors one election gates. This process takes jobs off them in terms of the election only. Bull pauses a
 * queue as a whole, so all processors of a queue must be gated, by one election.
 *
 * `pause()` lets a fetch that waits for a job go on for up to half a second. A job that it brings gets to the gate, which puts it back. It does not
 * wait for running jobs: Bull would then leave the failure to reconnect unhandled, which ends the process.
 */
export class LedQueues {
  readonly #leader: LeaderService;
  readonly #explorer: ElectionExplorer;
  readonly #warn: (line: string) => void;
  /** Resolves when the last change of a queue is complete. */
  readonly #settled = new Map<Queue, Promise<void>>();

  constructor(leader: LeaderService, explorer: ElectionExplorer, warn: (line: string) => void) {
    this.#leader = leader;
    this.#explorer = explorer;
    this.#warn = warn;
  }

  /** Whether there are any. */
  get areThere(): boolean {
    return this.#names().length > 0;
  }

  /**
   * To be called before @nestjs/bull's onModuleInit, which starts the processors.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a queue that cannot be paused as a whole.
   */
  holdBackAll(): void {
    const violations = this.#names().flatMap((name) => this.#violationsOf(name));
    if (violations.length > 0) throw new InvalidOptionsError(violations, 'The processors of Bull');
    for (const queue of this.#queues()) this.#change(queue, 'pause');
  }

  /** To be called once, before the campaign. */
  bindAll(): void {
    this.#leader.on('startedLeading', ({ term }) => {
      for (const queue of this.#queues()) {
        this.#change(queue, 'resume', () => !term.isOver);
        const onOver = (): void => {
          this.#change(queue, 'pause');
        };
        term.signal.addEventListener('abort', onOver, { once: true });
      }
    });
  }

  /** One after the other: a queue that is resumed while it is being paused would wait for its fetch on a closed connection. */
  #change(queue: Queue, how: 'pause' | 'resume', stillWanted = (): boolean => true): void {
    const change = async (): Promise<void> => {
      if (!stillWanted()) return;
      try {
        await queue[how](true, true);
      } catch (error) {
        this.#warn(
          `A Bull queue could not ${how}: ${String(error)}. The gate puts back jobs that it still gets.`,
        );
      }
    };
    this.#settled.set(queue, (this.#settled.get(queue) ?? Promise.resolve()).then(change));
  }

  /**
   * Resolves when no queue is being paused. To be awaited before the application closes its queues: Bull does not close one that is being
   * paused. Without Redis a pause does not end, so there is a bound.
   */
  async settled(): Promise<void> {
    const patience = new AbortController();
    const longest = pause(new SystemClock(), LONGEST_PAUSE_MS, patience.signal);
    await Promise.race([Promise.all(this.#settled.values()), longest]);
    patience.abort();
  }

  #queues(): Queue[] {
    const tokens = this.#names().map((name) => `BullQueue_${name}`);
    return this.#explorer.providers.flatMap(({ token, instance, isAlias }) =>
      !isAlias && tokens.includes(String(token)) && isQueue(instance) ? [instance] : [],
    );
  }

  /** The queues with a processor that this election gates. */
  #names(): string[] {
    const led = this.#processors().filter(({ election }) => election === this.#leader.election);
    return [...new Set(led.map(({ queue }) => queue))];
  }

  #violationsOf(queue: string): string[] {
    const all = this.#processors().filter((processor) => processor.queue === queue);
    const stacked = all.filter(({ isStacked }) => isStacked);
    const others = all.filter(({ election }) => election !== this.#leader.election);
    return [
      ...stacked.map(
        ({ name }) =>
          `${name} is under several @OnlyWhenLeader(): one election can lead a queue, so keep one decorator, and ask the other election by ` +
          `LeaderService.isLeader() inside`,
      ),
      ...others.map(
        ({ name, election }) =>
          `${name} is ${election === undefined ? 'not gated' : `gated by '${election}'`}, and another processor of the queue '${queue}' is ` +
          `gated by '${this.#leader.election}': Bull pauses a queue as a whole, so gate all of its processors by one election, or ` +
          `use two queues`,
      ),
    ];
  }

  #processors(): Processor[] {
    return this.#explorer.prototypes().flatMap((prototype) => {
      const queue = Reflect.getMetadata(QUEUE, prototype.constructor) as
        { readonly name?: string } | undefined;
      if (queue === undefined) return [];
      return this.#explorer
        .methodsOf(prototype)
        .filter(([, method]) => Reflect.hasOwnMetadata(BULL_PROCESS, method))
        .map(([key]) => {
          const gate = settingsOf(gateOn(prototype, key));
          const name = `${prototype.constructor.name}.${key}()`;
          return {
            queue: queue.name ?? 'default',
            name,
            election: gate?.election,
            isStacked: gate?.isInnermost === false,
          };
        });
    });
  }
}

function isQueue(instance: unknown): instance is Queue {
  return typeof instance === 'object' && instance !== null && 'pause' in instance && 'resume' in instance;
}
