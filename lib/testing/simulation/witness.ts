import {
  isLoss,
  type LeadershipTerm,
  type LeaseRecord,
  type LeaseSnapshot,
  type TermEndReason,
  type TermOverError,
} from '../../election/index.js';
import type { SimulatedChange } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import { LeaseHistory, knew } from './lease-history.js';
import type { Candidate } from './candidate.js';
import type { Party } from './party.js';
import type { Interference, TermHistory } from './term-history.js';

/** A promise of docs/guarantees.md. */
export type Guarantee = 'G1' | 'G2' | 'G3' | 'G4' | 'G5' | 'G6' | 'G7';

/** A promise that was not kept. */
export interface Violation {
  readonly guarantee: Guarantee;
  /** True time, milliseconds from the start. */
  readonly at: number;
  readonly what: string;
}

/** Work starts, ends, and is told to stop up to this much later than computed: what rounding makes of a timer. */
const ROUNDING_MS = 0.001;

/**
 * Observes a simulated fleet from outside and reports which of the guarantees G1 to G7 was broken.
 *
 * It trusts what happened to the Lease, which write was sent when by whose clock, and what a process answers to its own code
 * at an instant; it never trusts what an elector says about itself. It asks a process only when code of that process could
 * ask: a question ends a term that has expired, and would hide a timer that does not.
 */
export class Witness {
  readonly violations: Violation[] = [];
  readonly #time: SimulatedTime;
  readonly #lease: LeaseHistory;
  readonly #open = new Map<Candidate, TermHistory>();
  /** Until when each identity held the lease, for those that hold it no more. */
  readonly #heldUntil = new Map<string, number>();
  #holder = '';
  #lastToken = -1n;
  #terms = 0;

  constructor(time: SimulatedTime) {
    this.#time = time;
    this.#lease = new LeaseHistory(time);
  }

  get terms(): number {
    return this.#terms;
  }

  /** A promise was not kept. */
  broken(guarantee: Guarantee, what: string): void {
    this.violations.push({ guarantee, at: this.#time.now, what });
  }

  /** `party` sends that record. */
  sends(party: Party, record: LeaseRecord): void {
    this.#lease.sent(party, record);
  }

  /** `party` was shown the lease as it is in that version. */
  shows(party: Party, lease: LeaseSnapshot): void {
    this.#lease.shown(party, lease);
  }

  /** `party` was told that the lease was deleted, in that version. */
  showsDeletion(party: Party, resourceVersion: string): void {
    this.#lease.shownDeletion(party, resourceVersion);
  }

  /** A look that was asked for at that instant proved the lease to be held by `party`. */
  confirmed(party: Party, askedAt: number): void {
    const heldUntil = this.#holder === party.identity ? this.#time.now : this.#heldUntil.get(party.identity);
    if (heldUntil === undefined || heldUntil < askedAt)
      this.broken('G2', `${party.name} was told that it holds the lease, which it had lost before it asked`);
  }

  /** The Lease has changed. */
  changed(change: SimulatedChange): void {
    this.#heldUntil.set(this.#holder, this.#time.now);
    this.#holder = change.after?.record.holderIdentity ?? '';
    const { tooEarlyByMs, writer, interference, isResurrected } = this.#lease.note(change);
    if (interference !== undefined)
      for (const term of this.#open.values()) term.interference = graver(term.interference, interference);
    if (writer === undefined || change.after === undefined) return;
    if (tooEarlyByMs > ROUNDING_MS)
      this.broken('G1', `${writer.name} took the lease ${tooEarlyByMs.toFixed(0)} ms before it ran out`);
    const { record } = change.after;
    if (record.holderIdentity === '' && writer.jobsRunning > 0)
      this.broken('G5', `${writer.name} released while ${String(writer.jobsRunning)} gated job(s) ran`);
    const sentAt = this.#lease.sendingOf(record)?.sentAt;
    for (const [candidate, term] of this.#open) {
      if (candidate !== writer || record.holderIdentity === '' || sentAt === undefined) continue;
      if (isResurrected) this.broken('G4', `${candidate.name}'s term has outlived its Lease`);
      term.certainUntil = Math.max(term.certainUntil, sentAt + candidate.renewDeadline);
    }
  }

  /** A process of another implementation says that it leads. */
  otherStarted(party: Party): void {
    for (const [candidate, term] of this.#open) {
      if (this.#answersTrue(candidate, term) && term.interference === undefined)
        this.broken('G1', `${party.name} leads while ${candidate.name} answers true`);
    }
  }

  started(candidate: Candidate, term: LeadershipTerm): void {
    this.#terms += 1;
    const write = this.#lease.writeOf(String(term.fencingToken));
    const interference = this.#lease.interferenceSince(String(term.fencingToken));
    if (write?.party !== candidate)
      this.broken(
        'G3',
        `${candidate.name} has the token ${String(term.fencingToken)}, which no write of its own got`,
      );
    // Emptied by hand before its winner heard of it, a lease has a later leader who heard earlier.
    if (term.fencingToken <= this.#lastToken && interference === undefined)
      this.broken(
        'G3',
        `${candidate.name} has the token ${String(term.fencingToken)} after ${String(this.#lastToken)}`,
      );
    this.#lastToken = term.fencingToken > this.#lastToken ? term.fencingToken : this.#lastToken;
    if (this.#open.has(candidate)) this.broken('G4', `${candidate.name} started a second term in a term`);
    if (!candidate.showsTerm(term) && !term.signal.aborted)
      this.broken('G4', `${candidate.name} told of a term that its state does not show`);
    const certainUntil = (write?.sentAt ?? candidate.now) + candidate.renewDeadline;
    const history: TermHistory = { term, certainUntil, interference };
    for (const [other, its] of this.#open) this.#compare(candidate, history, other, its);
    this.#open.set(candidate, history);
  }

  stopped(candidate: Candidate, term: LeadershipTerm, reason: TermEndReason): void {
    const history = this.#open.get(candidate);
    this.#open.delete(candidate);
    if (history?.term !== term) this.broken('G4', `${candidate.name} stopped a term that it does not have`);
    if (!term.signal.aborted)
      this.broken('G4', `${candidate.name} stopped a term and its signal has not fired`);
    if (candidate.showsTerm(term))
      this.broken('G4', `${candidate.name} shows a term that it said has stopped`);
    const handedOver = !isLoss(reason);
    if (handedOver && candidate.jobsRunning > 0)
      this.broken(
        'G5',
        `${candidate.name} handed over while ${String(candidate.jobsRunning)} gated job(s) ran`,
      );
    if (handedOver || history === undefined || history.interference !== undefined || candidate.isTroubled)
      return;
    const wasHandingOver = (term.signal.reason as TermOverError).reason !== reason;
    const what = `${candidate.name} lost its term (${reason}) although nothing was wrong`;
    this.broken(wasHandingOver ? 'G5' : 'G7', what);
  }

  /** A gated call was let in. */
  entered(candidate: Candidate, term: LeadershipTerm): void {
    const history = this.#open.get(candidate);
    const over = history?.term !== term || term.signal.aborted || candidate.now > history.certainUntil;
    if (over) this.broken('G5', `${candidate.name} let a gated call in outside a term`);
  }

  /** Code of this process looks: what it is told must be true. */
  look(candidate: Candidate): void {
    const term = this.#open.get(candidate);
    if (term === undefined || !this.#answersTrue(candidate, term)) return;
    for (const [other, its] of this.#open)
      if (other !== candidate) this.#compare(candidate, term, other, its);
  }

  /** Something has happened: whatever should have been noticed by now, has it been? */
  afterStep(): void {
    for (const [candidate, { term, certainUntil }] of this.#open) {
      if (!candidate.loop.isIdle || term.signal.aborted) continue;
      const lateByMs = candidate.now - certainUntil;
      if (lateByMs > ROUNDING_MS)
        this.broken(
          'G4',
          `${candidate.name}'s signal has not fired ${lateByMs.toFixed(1)} ms after its validity`,
        );
    }
  }

  /** The process is gone, with whatever it believed. */
  died(candidate: Candidate): void {
    this.#open.delete(candidate);
  }

  #compare(candidate: Candidate, term: TermHistory, other: Candidate, its: TermHistory): void {
    if (other === candidate || !this.#answersTrue(other, its)) return;
    const hasOlder = its.term.fencingToken < term.term.fencingToken;
    if (this.#isExcused(hasOlder ? its : term, hasOlder ? term : its)) return;
    this.broken('G1', `${candidate.name} and ${other.name} both answer true`);
  }

  /** By what somebody did by hand during the older term, and whoever made the younger one's Lease could not know. */
  #isExcused({ interference }: TermHistory, { term }: TermHistory): boolean {
    if (interference?.kind !== 'deleted') return interference !== undefined;
    const creation = this.#lease.creationOf(String(term.fencingToken));
    return creation === undefined || creation.party.goesByName || !knew(creation, interference.last);
  }

  /** What its code would be told now. */
  #answersTrue(candidate: Candidate, { term, certainUntil }: TermHistory): boolean {
    if (candidate.loop.liveness === 'dead' || candidate.loop.liveness === 'frozen') return false;
    const yes = candidate.showsTerm(term) && !term.isOver;
    if (yes && candidate.now > certainUntil + ROUNDING_MS) {
      const lateByMs = candidate.now - certainUntil;
      this.broken('G2', `${candidate.name} answers true ${lateByMs.toFixed(1)} ms after its validity`);
    }
    return yes;
  }
}

/** After an edit nothing can be said any more; of two deletions the first let others in. */
function graver(known: Interference | undefined, other: Interference): Interference {
  return known === undefined || other.kind === 'edited' ? other : known;
}
