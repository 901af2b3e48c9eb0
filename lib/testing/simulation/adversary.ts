import { LeaseRequestError, type LeaseRecord } from '../../election/internal.js';
import type { Chance } from '../chance.js';
import type { SimulatedLease } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import type { Candidate } from './candidate.js';
import {
  guardFaultKinds,
  pathFaultKinds,
  podFaultKinds,
  processFaultKinds,
  requestFaultKinds,
  serverFaultKinds,
  statusFaultKinds,
  watchFaultKinds,
  type FaultKind,
} from './fault-kinds.js';
import { HIGHEST_PRIORITY } from './features.js';
import type { Fleet } from './fleet.js';
import { microTimeOf } from './micro-time.js';
import { PodAdversary } from './pod-adversary.js';

/** What can strike. A storm is any mixture of request faults. */
type StrikeKind = Exclude<FaultKind, 'ratesApart' | (typeof requestFaultKinds)[number]> | 'storm';

/** What may strike at a write: it is rare that they meet by chance. */
const TIMELY: readonly StrikeKind[] = ['leaseDeleted', 'exited', 'stopped', 'steppedDown'];

const HOUR_MS = 3_600_000;
/** The time of a request and its reply without faults. */
const LONGEST_ROUND_TRIP_MS = 3;
const LONGEST_STRANGE_DURATION_S = 40;
/** The longest time until a process starts that passes through, and its longest life. */
const LONGEST_PASSAGE_MS = 4_000;

/**
 * Decides which faults occur in a simulated fleet, and when. For each run it first draws which kinds of fault may
 * occur, so that in some runs a few kinds occur often. Then it injects faults at any time.
 */
export class Adversary {
  readonly #fleet: Fleet;
  readonly #chance: Chance;
  readonly #live: ReadonlySet<FaultKind>;
  readonly #strikes: readonly StrikeKind[];
  readonly #usedDurations: Set<number>;
  readonly #pods: PodAdversary;

  /** @param allowed The kinds of fault that may occur. */
  constructor(fleet: Fleet, allowed: readonly FaultKind[]) {
    this.#fleet = fleet;
    this.#chance = fleet.time.chance;
    const share = this.#chance.between(0.15, 0.7);
    this.#live = new Set(allowed.filter(() => this.#chance.happens(share)));
    this.#strikes = this.#liveStrikes();
    this.#usedDurations = new Set([fleet.leaseDuration / 1000]);
    this.#pods = new PodAdversary(fleet, (kind) => this.isLive(kind));
  }

  /** Whether this kind of fault may occur in this run. */
  isLive(kind: FaultKind): boolean {
    return this.#live.has(kind);
  }

  /** Injects a fault now, if this run has any. */
  strike(): void {
    const candidates = this.#fleet.candidates.filter(({ isDead, hasEnded }) => !isDead && !hasEnded);
    if (this.#strikes.length === 0 || candidates.length === 0) return;
    const leader = candidates.find(({ loop, term }) => loop.liveness !== 'frozen' && term !== undefined);
    // Faults of the leader are the most interesting.
    const victim =
      leader !== undefined && this.#chance.happens(0.5) ? leader : this.#chance.oneOf(candidates);
    const kind = this.#chance.oneOf(this.#strikes);
    if (isOneOf(TIMELY, kind) && this.#chance.happens(0.3)) this.#strikeAtWrite(kind, victim);
    else this.#strike(kind, victim);
  }

  /** Strikes while the next write of the victim, or its reply, is under way. */
  #strikeAtWrite(kind: StrikeKind, victim: Candidate): void {
    const fleet = this.#fleet;
    victim.path.atNextWrite(() => {
      fleet.later(this.#chance.between(0, LONGEST_ROUND_TRIP_MS), () => {
        if (!victim.isDead && !victim.hasEnded) this.#strike(kind, victim);
      });
    });
  }

  /** A duration from zero to two and a half leases. */
  #while(): number {
    return this.#chance.skewed(2.5 * this.#fleet.leaseDuration);
  }

  #strike(kind: StrikeKind, victim: Candidate): void {
    if (isOneOf(pathFaultKinds, kind)) victim.path.cut(kind, this.#while());
    else if (isOneOf(watchFaultKinds, kind)) this.#strikeWatch(kind, victim);
    else if (isOneOf(processFaultKinds, kind)) this.#strikeProcess(kind, victim);
    else if (isOneOf(serverFaultKinds, kind)) this.#strikeServer(kind);
    else if (isOneOf(guardFaultKinds, kind)) {
      if (victim.misguide(kind, this.#while())) this.#fleet.struck(kind, victim.name);
    } else if (isOneOf(podFaultKinds, kind)) {
      if (this.#pods.strike(kind, victim, this.#while())) this.#fleet.struck(kind, victim.name);
    } else if (isOneOf(statusFaultKinds, kind)) {
      this.#fleet.cluster.garble(kind, this.#while());
      this.#fleet.struck(kind);
    } else {
      const kinds = requestFaultKinds.filter((request) => this.#live.has(request));
      victim.path.storm(kinds, this.#chance.oneOf([0.2, 0.5, 0.9]), this.#while());
    }
  }

  #strikeWatch(kind: (typeof watchFaultKinds)[number], victim: Candidate): void {
    const forMs = this.#while();
    switch (kind) {
      case 'watchStalled':
        // Half of these streams never recover.
        if (this.#chance.happens(0.5)) {
          victim.hangWatch();
          break;
        }
        victim.stallWatch(true);
        this.#fleet.time.schedule(forMs, () => {
          victim.stallWatch(false);
        });
        break;
      case 'watchEnded':
        victim.endWatch();
        break;
      case 'watchExpired410':
        victim.endWatch(
          new LeaseRequestError('LEADER_SERVER_ERROR', 'Simulated 410.', { maybeCommitted: false }),
        );
        break;
      case 'watchDenied403':
        victim.denyWatch(true);
        this.#fleet.time.schedule(forMs, () => {
          victim.denyWatch(false);
        });
        break;
      case 'eventsDelayed':
      case 'eventsRepeated':
      case 'eventsDropped':
      case 'eventsStale':
        victim.path.garbleEvents(kind, forMs);
        return;
    }
    this.#fleet.struck(kind, victim.name);
  }

  #strikeProcess(kind: (typeof processFaultKinds)[number], victim: Candidate): void {
    const fleet = this.#fleet;
    // These faults need a process that runs.
    if (victim.loop.liveness !== 'running') return;
    switch (kind) {
      case 'loopBlocked':
      case 'frozen':
      case 'suspended':
        fleet.halt(victim, kind, this.#while());
        break;
      case 'killed':
        victim.kill();
        fleet.log(`${victim.name} is killed`);
        break;
      case 'exited':
        fleet.log(`${victim.name} exits`);
        victim.exit(this.#while());
        break;
      case 'restartedSameIdentity':
      case 'restartedNewIdentity':
        victim.kill();
        fleet.log(`${victim.name} is killed`);
        fleet.startLater(this.#while() / 4, kind === 'restartedSameIdentity' ? victim.identity : undefined);
        break;
      case 'stopped':
        fleet.log(`${victim.name} is told to stop`);
        victim.stop();
        fleet.startLater(this.#while(), undefined);
        break;
      case 'steppedDown':
        victim.stepDown(this.#chance.skewed(fleet.leaseDuration / 2));
        break;
      case 'unready':
        victim.withdraw(this.#while());
        break;
      case 'asksForLease':
        void victim.ask();
        break;
      case 'priorityChanged':
        if (!victim.prefer(this.#chance.integer(0, HIGHEST_PRIORITY))) return;
        break;
      case 'confirms':
        victim.confirmFor(fleet.leaseDuration / 2);
        // Then the application's reads are answered, while the election's writes are not.
        if (this.#live.has('writesHang')) victim.path.cut('writesHang', fleet.leaseDuration / 2);
        break;
      case 'wallClockStepped': {
        const byMs = this.#chance.oneOf([-HOUR_MS, HOUR_MS, this.#chance.between(-3_000, 3_000)]);
        fleet.log(`${victim.name}'s wall clock steps by ${byMs.toFixed(0)} ms`);
        victim.stepWallClock(byMs);
        break;
      }
      case 'ratesApart':
        return;
    }
    fleet.struck(kind, victim.name);
  }

  #strikeServer(kind: (typeof serverFaultKinds)[number]): void {
    const { lease } = this.#fleet.anyLease();
    const { stored } = lease;
    if (kind === 'serverRestarted') {
      this.#fleet.restartServer(this.#while());
    } else if (stored === undefined) {
      return;
    } else {
      this.#fleet.log(`by hand: ${kind}`);
      switch (kind) {
        case 'leaseDeleted':
          lease.delete();
          break;
        case 'leaseRecreated':
          this.#passThrough();
          lease.delete();
          break;
        case 'leaseTaken':
          lease.edit(strangersRecord(this.#fleet.time, stored.record, this.#fleet.leaseDuration));
          break;
        case 'leaseReleased':
          lease.edit({ ...stored.record, holderIdentity: '', leaseDurationSeconds: 1 });
          break;
        case 'durationChanged':
          lease.edit({ ...stored.record, leaseDurationSeconds: this.#strangeDuration() });
          break;
        case 'leaseRelabelled':
          lease.relabel({ relabelledAt: this.#fleet.time.now });
          break;
        case 'recordTouched':
          this.#touch(lease, stored.record);
          break;
      }
    }
    this.#fleet.struck(kind);
  }

  /** The leader is cut off. Soon a process starts that has not seen the Lease, and it dies soon. */
  #passThrough(): void {
    const fleet = this.#fleet;
    for (const { path, term } of fleet.candidates)
      if (term !== undefined) path.cut('partition', fleet.leaseDuration);
    fleet.later(this.#chance.skewed(LONGEST_PASSAGE_MS), () => {
      const candidate = fleet.start();
      fleet.later(this.#chance.skewed(LONGEST_PASSAGE_MS), () => {
        fleet.log(`${candidate.name} is killed`);
        candidate.kill();
      });
    });
  }

  /**
   * Changes times or transitions, as somebody who does not take part. Two such changes within a lease may cost the
   * term.
   */
  #touch(lease: SimulatedLease, record: LeaseRecord): void {
    const { time } = this.#fleet;
    if (record.holderIdentity === '') return;
    const at = microTimeOf(time.clock({ wallOffsetMs: this.#chance.between(-HOUR_MS, 9 * HOUR_MS) }));
    const leaseTransitions = this.#chance.integer(0, 99);
    lease.edit({ ...record, ...(this.#chance.happens(0.7) ? { renewTime: at } : { leaseTransitions }) });
  }

  /** A duration in seconds that nobody has written yet: otherwise an edit might restore an earlier record. */
  #strangeDuration(): number {
    for (const { options } of this.#fleet.candidates) this.#usedDurations.add(options.leaseDuration / 1000);
    let seconds = this.#chance.integer(1, LONGEST_STRANGE_DURATION_S);
    while (this.#usedDurations.has(seconds)) seconds += 1;
    this.#usedDurations.add(seconds);
    return seconds;
  }

  #liveStrikes(): StrikeKind[] {
    const isStrike = (kind: FaultKind): kind is Exclude<StrikeKind, 'storm'> =>
      kind !== 'ratesApart' && !isOneOf(requestFaultKinds, kind);
    // Both together could make all clocks of a process wrong (ARCHITECTURE.md, rule 2).
    const clockFaults: readonly FaultKind[] = ['suspended', 'wallClockStepped'];
    const both = clockFaults.every((kind) => this.#live.has(kind));
    const left = both ? this.#chance.oneOf(clockFaults) : undefined;
    const strikes: StrikeKind[] = [...this.#live].filter(isStrike).filter((kind) => kind !== left);
    // Storms are the most frequent strike.
    const stormy = requestFaultKinds.some((kind) => this.#live.has(kind));
    return stormy ? [...strikes, ...Array<StrikeKind>(1 + strikes.length).fill('storm')] : strikes;
  }
}

function isOneOf<T extends string>(list: readonly T[], kind: string): kind is T {
  return (list as readonly string[]).includes(kind);
}

/** The record of somebody who takes part in no election and writes itself into the Lease. */
function strangersRecord(time: SimulatedTime, previous: LeaseRecord, leaseDuration: number): LeaseRecord {
  const now = microTimeOf(time.clock());
  return {
    holderIdentity: 'stranger',
    leaseDurationSeconds: leaseDuration / 1000,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: (previous.leaseTransitions ?? 0) + 1,
  };
}
