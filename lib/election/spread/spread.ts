import { Alarm } from '../waiting.js';
import { LONG_AGO, NEVER, after, type Clock, type MonotonicMs } from '../clock.js';
import type { LeaseElector } from '../lease-elector.js';
import { leaderIn } from '../several-leases/leader-news.js';
import { systemClock } from '../system-clock.js';

/** The part of an election that {@link Spread} uses. */
export type SpreadElection = Pick<LeaseElector, 'identity' | 'state' | 'askForLease'>;

/** How long to wait after a change before looking, so that changes that come together are seen together. */
const PAUSE_MS = 100;
/** How long a holder may take to hand over, its draining included, before another election is asked for. */
const PATIENCE_MS = 30_000;
/** After a request for an election failed or was not granted, it is not requested again for this long. */
const REFUSED_FOR_MS = 60_000;

interface Asked {
  readonly election: SpreadElection;
  readonly holder: string;
  readonly until: MonotonicMs;
}

/**
 * Distributes many elections over the processes that take part in all of them, so that no process leads most of them.
 *
 * A process that leads at least two elections fewer than another asks that process for one of them, by an annotation on the
 * Lease, and gets it by a hand-over; then it looks again. Each move evens out the numbers, and no later move undoes it. When
 * no two processes differ by more than one, nothing is sent. The number of processes need not be known: each sees who holds
 * which lease.
 */
export class Spread {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #elections = new Set<SpreadElection>();
  readonly #leftAloneUntil = new Map<SpreadElection, MonotonicMs>();
  #asked: Asked | undefined;
  #lookAt = NEVER;

  /** @param clock Default: the {@link SystemClock}. */
  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#alarm = new Alarm(clock, () => {
      this.#lookAt = NEVER;
      void this.#look();
    });
  }

  /** Adds an election. Its options should have `spread`; otherwise the others take what it asked for. */
  add(election: SpreadElection): void {
    this.#elections.add(election);
  }

  /** Call this at each `newLeader`, `startedLeading` and `stoppedLeading`. */
  consider(): void {
    this.#lookIn(PAUSE_MS * (1 + this.#clock.random()));
  }

  /** Stops asking for elections. */
  close(): void {
    this.#alarm.clear();
    // No later call of #lookIn() is earlier than this.
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
    if (this.#asked !== undefined && leaderOf(this.#asked.election) === this.#asked.holder) {
      if (now < this.#asked.until) {
        this.#lookIn(this.#asked.until - now);
        return;
      }
      this.#giveUp(this.#asked);
    }
    const busiest = electionsOfTheBusiest([...this.#elections]);
    const mayBeAsked = busiest.filter((election) => now >= this.#askableAt(election));
    const election = mayBeAsked[Math.floor(this.#clock.random() * mayBeAsked.length)];
    if (election === undefined) {
      this.#asked = undefined;
      // There may be no event before then that would cause a look.
      this.#lookIn(Math.min(...busiest.map((each) => this.#askableAt(each))) - now);
      return;
    }
    const asked = { election, holder: leaderOf(election), until: after(now, PATIENCE_MS) };
    this.#asked = asked;
    if (await election.askForLease()) this.#lookIn(PATIENCE_MS);
    else this.#giveUp(asked);
  }

  #askableAt(election: SpreadElection): MonotonicMs {
    return this.#leftAloneUntil.get(election) ?? LONG_AGO;
  }

  /** Handles a request that failed or was not granted, unless another one has replaced it. */
  #giveUp(asked: Asked): void {
    if (this.#asked !== asked) return;
    this.#asked = undefined;
    this.#leftAloneUntil.set(asked.election, after(this.#clock.now(), REFUSED_FOR_MS));
    this.consider();
  }
}

/** The elections of the process that leads most, if it leads at least two more than this process. */
function electionsOfTheBusiest(elections: readonly SpreadElection[]): SpreadElection[] {
  const ledBy = new Map<string, SpreadElection[]>();
  let own = 0;
  for (const election of elections) {
    const leader = leaderOf(election);
    if (leader === election.identity) own += 1;
    else if (leader !== '') ledBy.set(leader, [...(ledBy.get(leader) ?? []), election]);
  }
  const most = [...ledBy.values()].sort((a, b) => b.length - a.length)[0] ?? [];
  return most.length >= own + 2 ? most : [];
}

function leaderOf({ state, identity }: SpreadElection): string {
  return leaderIn(state, identity);
}
