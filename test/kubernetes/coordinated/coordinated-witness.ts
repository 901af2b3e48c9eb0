import {
  isLoss,
  sameRecord,
  type LeadershipTerm,
  type LeaseRecord,
  type LeaseSnapshot,
  type TermEndReason,
} from '../../../lib/election/internal.js';
import type { SimulatedChange } from '../../../lib/testing/simulated-lease.js';
import type { Guarantee } from '../../../lib/testing/simulation/witness.js';
import type { FleetProcess } from './coordinated-fleet.js';
import { objectIn } from './coordinated-world.js';

/** A write as it was sent, by the clocks of its process. */
interface Sending {
  readonly process: FleetProcess;
  readonly sentAt: number;
  readonly sentOn: number;
  /** The uids of the Leases that the process had been shown. */
  readonly known: ReadonlySet<string>;
  /** Whether the process knew that the API server chooses the holder. */
  readonly waitsForChoice: boolean;
  /** Whether it may have a term. */
  readonly mayHold: boolean;
  /** Whether it stood, or its candidate was not yet deleted. */
  readonly stood: boolean;
}

/** What is known of the lease of one process, from what it wrote. */
interface Tenure {
  /** Until when it may be certain of its term, by both of its clocks; 0 if it has released the lease. */
  certainUntil: number;
  certainUntilDate: number;
  /** The uid of the Lease that was deleted meanwhile. */
  deleted: string | undefined;
}

/** Timers are rounded. */
const ROUNDING_MS = 0.001;
/** How late a process may stop standing, because it first lets the elector see the reason. */
const TOLD_MS = 0.001;

/**
 * Observes a fleet of a coordinated election from outside. It relies on what was stored in the Lease, on when it was sent,
 * and on what a process answers to its own code.
 */
export class CoordinatedWitness {
  readonly #broken: (guarantee: Guarantee, what: string) => void;
  readonly #sendings = new WeakMap<LeaseRecord, Sending>();
  /** The process that wrote the record in each version of the Lease. */
  readonly #writers = new Map<string, FleetProcess>();
  /** The claim that each token stands for. */
  readonly #claims = new Map<string, Sending>();
  readonly #tenures = new Map<FleetProcess, Tenure>();
  readonly #terms = new Map<FleetProcess, LeadershipTerm>();
  /** Since when each process stands although it must not, by its own clock. */
  readonly #standsWrongly = new Map<FleetProcess, number>();
  #lastToken = -1n;
  begun = 0;

  constructor(broken: (guarantee: Guarantee, what: string) => void) {
    this.#broken = broken;
  }

  sends(process: FleetProcess, record: LeaseRecord): void {
    this.#sendings.set(record, {
      process,
      sentAt: process.clock.now(),
      sentOn: process.clock.date(),
      known: new Set(process.known),
      waitsForChoice: process.waitsForChoice,
      mayHold: this.#mayBeCertain(process),
      stood: process.stands || process.isWithdrawing,
    });
  }

  changed({ client, before, after }: SimulatedChange): void {
    if (after === undefined) {
      for (const tenure of this.#tenures.values()) tenure.deleted ??= before?.uid;
      return;
    }
    const sending = client === undefined ? undefined : this.#sendings.get(after.record);
    if (sending === undefined) {
      if (before !== undefined && sameRecord(before.record, after.record)) this.#keeps(before, after);
      return;
    }
    const { process } = sending;
    this.#writers.set(after.resourceVersion, process);
    if (after.record.holderIdentity === '') this.#onRelease(sending, before?.record);
    else this.#onHold(sending, { client, before, after });
  }

  /** Somebody has changed something beside the record. A term that is first seen in this version has its token. */
  #keeps({ resourceVersion: before }: LeaseSnapshot, { resourceVersion: after }: LeaseSnapshot): void {
    const writer = this.#writers.get(before);
    const claim = this.#claims.get(before);
    if (writer !== undefined) this.#writers.set(after, writer);
    if (claim !== undefined) this.#claims.set(after, claim);
  }

  #onRelease({ process, stood }: Sending, before: LeaseRecord | undefined): void {
    const { name, identity, jobs } = process;
    if (before?.holderIdentity !== identity) this.#broken('G1', `${name} released the lease of another`);
    if (jobs > 0) this.#broken('G5', `${name} released while ${String(jobs)} job(s) ran`);
    if (stood) this.#broken('G6', `${name} released before its candidate was withdrawn`);
    this.#tenures.delete(process);
  }

  #onHold(sending: Sending, { before, after }: SimulatedChange): void {
    const { process, sentAt, sentOn } = sending;
    if (after === undefined) return;
    if (after.record.holderIdentity !== process.identity)
      this.#broken('G1', `${process.name} wrote the name ${after.record.holderIdentity}`);
    const isRenewal = before !== undefined && this.#writers.get(before.resourceVersion) === process;
    if (!isRenewal) this.#checkOwed(sending);
    if (process.isCoordinated) this.#checkChosen(sending, before);
    if (process.isCoordinated) this.#checkNote(process, after);
    this.#claims.set(after.resourceVersion, sending);
    const { renewDeadline } = process.options;
    const { certainUntil = 0, certainUntilDate = 0 } = this.#tenures.get(process) ?? {};
    this.#tenures.set(process, {
      certainUntil: Math.max(certainUntil, sentAt + renewDeadline),
      certainUntilDate: Math.max(certainUntilDate, sentOn + renewDeadline),
      deleted: undefined,
    });
  }

  /** Whoever may be certain of the lease, even if it has died or knows nothing of its last write, is owed it. */
  #checkOwed({ process, known }: Sending): void {
    for (const [other, tenure] of this.#tenures) {
      if (other === process || !this.#mayBeCertain(other)) continue;
      if (tenure.deleted !== undefined && !known.has(tenure.deleted)) continue;
      const leftMs = tenure.certainUntil - other.clock.now();
      this.#broken(
        'G1',
        `${process.name} took the lease ${leftMs.toFixed(0)} ms before ${other.name} may have lost it`,
      );
    }
  }

  #checkChosen({ process, waitsForChoice, mayHold }: Sending, before: SimulatedChange['before']): void {
    if (!waitsForChoice) return;
    const { name, identity } = process;
    if (before === undefined) {
      if (!mayHold) this.#broken('G6', `${name} created the Lease, although the API server elects`);
      return;
    }
    if (before.record.holderIdentity !== identity)
      this.#broken('G6', `${name} took a lease that the API server did not give to it`);
  }

  #checkNote({ name }: FleetProcess, after: NonNullable<SimulatedChange['after']>): void {
    const { renewTime, leaseDurationSeconds } = after.record;
    const { annotations = {} } = objectIn(after).metadata;
    const note = [annotations['nestjs-leader/held-at'], annotations['nestjs-leader/held-for']];
    if (note[0] !== renewTime || note[1] !== String(leaseDurationSeconds))
      this.#broken('G1', `${name} wrote a record without its note`);
  }

  started(process: FleetProcess, term: LeadershipTerm): void {
    const { name, elector } = process;
    const token = String(term.fencingToken);
    this.begun += 1;
    if (this.#writers.get(token) !== process)
      this.#broken('G3', `${name} has the token ${token}, which is not the version of one of its writes`);
    if (term.fencingToken <= this.#lastToken)
      this.#broken('G3', `${name} has the token ${token} after ${String(this.#lastToken)}`);
    if (term.fencingToken > this.#lastToken) this.#lastToken = term.fencingToken;
    if (this.#terms.has(process)) this.#broken('G4', `${name} started a second term in a term`);
    if (!term.signal.aborted && !showsTerm(elector.state, term))
      this.#broken('G4', `${name} announced a term that its state does not show`);
    if (process.guard?.isStarting(term) === true)
      this.#broken('G5', `${name} announced a term before its guard had finished`);
    this.#terms.set(process, term);
  }

  stopped(process: FleetProcess, term: LeadershipTerm, reason: TermEndReason): void {
    const { name, elector, jobs } = process;
    if (this.#terms.get(process) !== term) this.#broken('G4', `${name} stopped a term that it does not have`);
    this.#terms.delete(process);
    if (!term.signal.aborted) this.#broken('G4', `${name} stopped a term and its signal has not fired`);
    if (showsTerm(elector.state, term)) this.#broken('G4', `${name} shows a term that it said has stopped`);
    if (!isLoss(reason) && jobs > 0)
      this.#broken('G5', `${name} handed over while ${String(jobs)} job(s) ran`);
  }

  /** The process runs no code any more. */
  died(process: FleetProcess): void {
    this.#terms.delete(process);
  }

  /** Checks what each process answers now, and that it has noticed in time what it should have. */
  afterStep(processes: readonly FleetProcess[]): void {
    const leading: [FleetProcess, LeadershipTerm][] = [];
    for (const [process, term] of this.#terms) {
      const { name, loop } = process;
      if (loop.liveness === 'frozen') continue;
      const { certainUntil = 0 } = this.#tenures.get(process) ?? {};
      if (loop.isIdle && certainUntil + ROUNDING_MS < process.clock.now() && !term.signal.aborted)
        this.#broken('G4', `${name}'s signal has not fired after its validity`);
      if (term.isOver) continue;
      if (!this.#mayBeCertain(process)) this.#broken('G2', `${name} answers true after its validity`);
      leading.push([process, term]);
    }
    leading.sort(([, one], [, other]) => (one.fencingToken < other.fencingToken ? -1 : 1));
    const [older, younger] = leading;
    if (older !== undefined && younger !== undefined && !this.#isExcused(older[0], younger[1]))
      this.#broken('G1', `${older[0].name} and ${younger[0].name} both answer true`);
    for (const process of processes) this.#checkStanding(process);
  }

  /** Somebody has deleted the Lease, and whoever began the younger term had not been shown it. */
  #isExcused(older: FleetProcess, younger: LeadershipTerm): boolean {
    const deleted = this.#tenures.get(older)?.deleted;
    const claim = this.#claims.get(String(younger.fencingToken));
    return deleted !== undefined && claim?.known.has(deleted) === false;
  }

  /** A process must not stand once it is told to stop, while it hands over, while it cools down, or before it sees the Lease. */
  #checkStanding(process: FleetProcess): void {
    const { clock, loop, stands, name } = process;
    const why = stands && loop.isIdle ? this.#whyNotToStand(process) : undefined;
    const since = this.#standsWrongly.get(process) ?? clock.now();
    if (why === undefined) this.#standsWrongly.delete(process);
    else if (clock.now() - since > TOLD_MS) this.#broken('G6', `${name} stands although it ${why}`);
    else this.#standsWrongly.set(process, since);
  }

  #whyNotToStand(process: FleetProcess): string | undefined {
    if (process.isStopping) return 'is told to stop';
    if (!process.hasSeenLease) return 'has not seen the Lease';
    if (process.clock.now() < process.coolsUntil) return 'cools down';
    return this.#terms.get(process)?.signal.aborted === true ? 'hands over' : undefined;
  }

  #mayBeCertain(process: FleetProcess): boolean {
    const { certainUntil = 0, certainUntilDate = 0 } = this.#tenures.get(process) ?? {};
    const { clock } = process;
    return certainUntil + ROUNDING_MS > clock.now() && certainUntilDate + ROUNDING_MS > clock.date();
  }
}

function showsTerm(state: FleetProcess['elector']['state'], term: LeadershipTerm): boolean {
  return state.kind === 'leading' && state.term === term;
}
