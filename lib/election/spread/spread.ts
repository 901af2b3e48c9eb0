/**
 * Shares many elections out over the processes that take part in all of them, so that one does not lead most.
 *
 * A process that leads two or more fewer than another asks that one for one of its elections, by a note on the Lease,
 * and gets it by a hand-over; then it looks again. So each move evens out, none is undone by the next, and when no two
 * differ by more than one nothing is sent. Nobody counts the processes: each sees who holds what.
 */
import { Alarm } from '../alarm.js';
import { LONG_AGO, NEVER, after, type Clock, type MonotonicMs } from '../clock.js';
import type { LeaseElector } from '../lease-elector.js';
import { SystemClock } from '../system-clock.js';

/** What {@link Spread} asks of an election. */
export type SpreadElection = Pick<LeaseElector, 'identity' | 'state' | 'askForLease'>;

/** How long to wait after a change before looking, so that those that come together are seen together. */
const PAUSE_MS = 100;
/** How long a holder may take to hand over, its draining included, before another election is asked for. */
const PATIENCE_MS = 30_000;
/** How long to leave an election alone that was asked for in vain, or could not be. */
const REFUSED_FOR_MS = 60_000;

interface Asked {
  readonly election: SpreadElection;
  readonly holder: string;
  readonly until: MonotonicMs;
}

/** See the head of the file. */
export class Spread {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #elections = new Set<SpreadElection>();
  readonly #leftAloneUntil = new Map<SpreadElection, MonotonicMs>();
  #asked: Asked | undefined;
  #lookAt = NEVER;

  /** @param clock Default: the {@link SystemClock}. */
  constructor(clock: Clock = new SystemClock()) {
    this.#clock = clock;
    this.#alarm = new Alarm(clock, () => {
      this.#lookAt = NEVER;
      void this.#look();
    });
  }

  /** Counts an election in. Its options should have `spread`, or it is never handed over for being asked for. */
  add(election: SpreadElection): void {
    this.#elections.add(election);
  }

  /** Who leads what may have changed. To be called at each `newLeader`, `startedLeading` and `stoppedLeading`. */
  consider(): void {
    this.#lookIn(PAUSE_MS * (1 + this.#clock.random()));
  }

  /** Asks for nothing any more. */
  close(): void {
    this.#alarm.clear();
    this.#elections.clear();
    // No look is ever earlier.
    this.#lookAt = LONG_AGO;
  }

  #lookIn(ms: number): void {
    const at = after(this.#clock.now(), ms);
    if (this.#lookAt <= at) return;
    this.#lookAt = at;
    this.#alarm.set(at);
  }

  async #look(): Promise<void> {
    const now = this.#clock.now();
    if (this.#asked !== undefined && !this.#isSettled(this.#asked, now)) {
      this.#lookIn(this.#asked.until - now);
      return;
    }
    const busiest = electionsOfTheBusiest([...this.#elections]);
    const mayBeAsked = busiest.filter((election) => now >= this.#askableAt(election));
    const election = mayBeAsked[Math.floor(this.#clock.random() * mayBeAsked.length)];
    const asked = election && { election, holder: holderOf(election), until: after(now, PATIENCE_MS) };
    this.#asked = asked;
    if (election === undefined || asked === undefined) {
      // Nothing need happen in between: what kept from asking may have been over in a second.
      if (busiest.length > 0) this.#lookIn(Math.min(...busiest.map((each) => this.#askableAt(each))) - now);
      return;
    }
    if (await election.askForLease()) this.#lookIn(PATIENCE_MS);
    else this.#giveUp(asked);
  }

  #askableAt(election: SpreadElection): MonotonicMs {
    return this.#leftAloneUntil.get(election) ?? LONG_AGO;
  }

  #isSettled(asked: Asked, now: MonotonicMs): boolean {
    if (holderOf(asked.election) !== asked.holder) return true;
    if (now >= asked.until) this.#giveUp(asked);
    return now >= asked.until;
  }

  /** It was asked for in vain, unless that was settled since: then another may have been asked for. */
  #giveUp(asked: Asked): void {
    if (this.#asked !== asked) return;
    this.#asked = undefined;
    this.#leftAloneUntil.set(asked.election, after(this.#clock.now(), REFUSED_FOR_MS));
    this.consider();
  }
}

/** Those of the process that leads most, if it leads two or more than this one. */
function electionsOfTheBusiest(elections: readonly SpreadElection[]): SpreadElection[] {
  const ledBy = new Map<string, SpreadElection[]>();
  let own = 0;
  for (const election of elections) {
    const holder = holderOf(election);
    if (holder === election.identity) own += 1;
    else if (holder !== '') ledBy.set(holder, [...(ledBy.get(holder) ?? []), election]);
  }
  const most = [...ledBy.values()].sort((a, b) => b.length - a.length)[0] ?? [];
  return most.length >= own + 2 ? most : [];
}

/** Who leads, as last seen; `''` for nobody. */
function holderOf({ state, identity }: SpreadElection): string {
  switch (state.kind) {
    case 'leading':
    case 'handingOver':
      return identity;
    case 'following':
      return state.leader;
    case 'idle':
    case 'stopped':
      return '';
  }
}
