import { setTimeout as pause } from 'node:timers/promises';
import type { Contender } from '../test/rig/contender.js';
import type { Side } from './contenders.js';
import type { Credentials } from './surroundings.js';
import { demand, now, saidAt, until } from './until.js';

/** The signal that ends a leader. */
export type Blow = 'SIGTERM' | 'SIGKILL';

/** The times of one trial, in milliseconds of the machine's monotonic clock. */
export interface Strike {
  readonly struckAt: number;
  /** Undefined: the follower did not lead in time. */
  readonly nextLeadsAt: number | undefined;
}

/** How long the first leader may take, which is not measured. */
const STARTS_WITHIN_MS = 60_000;
/** How long to wait for a follower's report of the leader. One package never reports it. */
const FOLLOWS_WITHIN_MS = 10_000;
/** A hand-over takes client-go up to a retry period and its jitter, 4.4 s; a crash takes the lease duration more. */
const PATIENCE_MS: Readonly<Record<Blow, number>> = { SIGTERM: 12_000, SIGKILL: 30_000 };
/** How long before the signal a failure is injected into the follower. */
const BEFORE_MS = 2;

/** One of the two processes. */
interface Rival {
  readonly contender: Contender;
  /** Its name in the audit log. */
  readonly user: string;
}

/** A leader and a follower of one side on one lease. The leader is ended again and again, and the follower becomes leader. */
export class Contest {
  readonly side: Side;
  readonly #credentials: readonly [Credentials, Credentials];
  readonly #name: string;
  #generation = 0;
  #started = 0;
  #leader: Rival | undefined;
  #follower: Rival | undefined;

  /** @param credentials used in turn, so that the audit log distinguishes leader and follower. */
  constructor(side: Side, name: string, credentials: readonly [Credentials, Credentials]) {
    this.side = side;
    this.#name = name;
    this.#credentials = credentials;
  }

  get lease(): string {
    return `${this.#name}-${String(this.#generation)}`;
  }

  get isFilled(): boolean {
    return this.#leader !== undefined && this.#follower !== undefined;
  }

  /** @throws Error when a place is empty. */
  get rivals(): { readonly leader: Rival; readonly follower: Rival } {
    if (this.#leader === undefined || this.#follower === undefined)
      throw new Error(`${this.#name} has an empty place.`);
    return { leader: this.#leader, follower: this.#follower };
  }

  /** Starts a process for each empty place, and waits until it leads or follows. */
  async fill(): Promise<void> {
    if (this.#leader === undefined) {
      this.#generation += 1;
      this.#leader = await this.#start();
      const { contender } = this.#leader;
      await demand(`${contender.identity} to lead`, [contender], STARTS_WITHIN_MS, () =>
        saidAt(contender, 'started'),
      );
    }
    if (this.#follower === undefined) {
      this.#follower = await this.#start();
      const { contender } = this.#follower;
      await until([contender], FOLLOWS_WITHIN_MS, () => saidAt(contender, 'leader'));
    }
  }

  /** Ends the leader and waits until the follower leads. The follower's place is empty afterwards. */
  async strike(blow: Blow): Promise<Strike> {
    const { leader, follower } = this.rivals;
    if (this.side.hasObstacle) {
      follower.contender.signal('SIGUSR2');
      await pause(BEFORE_MS);
    }
    const struckAt = now();
    leader.contender.signal(blow);
    const nextLeadsAt = await until([follower.contender], PATIENCE_MS[blow], () =>
      saidAt(follower.contender, 'started', struckAt),
    );
    await leader.contender.stop();
    this.#follower = undefined;
    this.#leader = follower;
    if (nextLeadsAt === undefined) {
      // The follower will not take over any more, so the next trial uses a new lease.
      await follower.contender.kill();
      this.#leader = undefined;
    }
    return { struckAt, nextLeadsAt };
  }

  async end(): Promise<void> {
    await Promise.all([this.#leader?.contender.kill(), this.#follower?.contender.kill()]);
  }

  async #start(): Promise<Rival> {
    const [even, odd] = this.#credentials;
    const credentials = this.#started % 2 === 0 ? even : odd;
    this.#started += 1;
    const identity = `${this.#name}-${String(this.#started)}`;
    const contender = await this.side.start({ lease: this.lease, identity, credentials });
    return { contender, user: credentials.user };
  }
}
