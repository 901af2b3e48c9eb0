import {
  isLoss,
  type LeaseRecord,
  type LeaseSnapshot,
  type TermEndReason,
  type TermOverError,
} from '../../election/internal.js';
import type { SimulatedChange } from '../simulated-lease.js';
import type { SimulatedTime } from '../simulated-time.js';
import { LeaseHistory, owes } from './lease-history.js';
import type { Candidate } from './candidate.js';
import type { Party } from './party.js';
import { brokenRule } from './record-rules.js';
import type { RequestHistory } from './request-history.js';
import type { Interference, TermHistory, WitnessedTerm } from './term-history.js';

/** A promise of docs/guarantees.md. */
export type Guarantee = 'G1' | 'G2' | 'G3' | 'G4' | 'G5' | 'G6' | 'G7';

/** A guarantee that was broken. */
export interface Violation {
  readonly guarantee: Guarantee;
  /** True time, in milliseconds from the start. */
  readonly at: number;
  readonly what: string;
}

/** How late work may start, end or be told to stop, because timers are rounded. */
const ROUNDING_MS = 0.001;

/**
 * Observes a simulated fleet from outside and reports which of the guarantees G1 to G7 was broken.
 *
 * It relies on what happened to the Lease, on when each write was sent by which clock, and on what a process answers
 * to its own code at an instant. It never relies on what an elector says about itself. It asks a process only when
 * code of that process could ask: a question ends a term that has expired, and would hide a timer that does not.
 */
export class Witness {
  readonly violations: Violation[];
  readonly #time: SimulatedTime;
  readonly #slot: number;
  readonly #lease: LeaseHistory;
  readonly #open = new Map<Candidate, TermHistory>();
  /** When the newest stored write of each process was sent, by its own clock. */
  readonly #sentAt = new Map<Party, number>();
  /** Those who know the Lease, by name. */
  readonly #parties = new Map<string, Party>();
  /** Until when each former holder held the lease, by identity. */
  readonly #heldUntil = new Map<string, number>();
  #holder = '';
  #lastToken = -1n;
  #terms = 0;

  /** @param slot the slot of the terms on this Lease. @param violations where to report. Default: to this witness alone. */
  constructor(time: SimulatedTime, slot = 0, violations: Violation[] = []) {
    this.#time = time;
    this.#slot = slot;
    this.violations = violations;
    this.#lease = new LeaseHistory(time);
  }

  get terms(): number {
    return this.#terms;
  }

  /** Reports a broken guarantee. */
  broken(guarantee: Guarantee, what: string): void {
    this.violations.push({ guarantee, at: this.#time.now, what });
  }

  /** `party` sends this record. */
  sends(party: Party, record: LeaseRecord): void {
    this.#lease.sent(party, record);
  }

  /** `party` was shown this version of the lease. */
  shows(party: Party, lease: LeaseSnapshot): void {
    this.#parties.set(party.name, party);
    this.#lease.shown(party, lease);
  }

  /** `party` was shown that the lease was deleted, in this version. */
  showsDeletion(party: Party, resourceVersion: string): void {
    this.#lease.shownDeletion(party, resourceVersion);
  }

  /** `party` takes the process that wrote this about itself for dead. */
  proven(party: Party, process: string): void {
    for (const { name, loop } of this.#lease.proven(party, process))
      if (loop.liveness !== 'dead') this.broken('G1', `${party.name} takes ${name} for dead, which is alive`);
  }

  /** `party` was told that it held the lease, in answer to a confirmation asked for at `askedAt`. */
  confirmed(party: Party, askedAt: number): void {
    const heldUntil = this.#holder === party.identity ? this.#time.now : this.#heldUntil.get(party.identity);
    if (heldUntil === undefined || heldUntil < askedAt)
      this.broken('G2', `${party.name} was told that it holds the lease, which it had lost before it asked`);
  }

  /** The Lease has changed. */
  changed(change: SimulatedChange): void {
    this.#heldUntil.set(this.#holder, this.#time.now);
    this.#holder = change.after?.record.holderIdentity ?? '';
    this.#checkRecord(change);
    const { tooEarlyByMs, writer, interference, isResurrected } = this.#lease.note(change);
    if (interference !== undefined)
      for (const term of this.#open.values()) term.interference = graver(term.interference, interference);
    if (writer === undefined || change.after === undefined) return;
    // A request of a dead process may still be carried out, after the Lease that it did not expect was deleted. Nobody leads by it.
    if (tooEarlyByMs > ROUNDING_MS && writer.loop.liveness !== 'dead')
      this.broken('G1', `${writer.name} took the lease ${tooEarlyByMs.toFixed(0)} ms before it was free`);
    const { record } = change.after;
    const running = writer.jobsRunning(this.#slot);
    if (record.holderIdentity === '' && running > 0)
      this.broken('G5', `${writer.name} released while ${String(running)} gated job(s) ran`);
    const sentAt = this.#lease.sendingOf(record)?.sentAt;
    if (sentAt !== undefined && record.holderIdentity !== '')
      this.#sentAt.set(writer, Math.max(this.#sentAt.get(writer) ?? sentAt, sentAt));
    for (const [candidate, term] of this.#open) {
      if (candidate !== writer || record.holderIdentity === '' || sentAt === undefined) continue;
      if (isResurrected) this.broken('G4', `${candidate.name}'s term has outlived its Lease`);
      term.certainUntil = Math.max(term.certainUntil, sentAt + candidate.renewDeadline);
    }
  }

  /** Whether this process wrote that record. */
  hasWritten(party: Party, { record }: LeaseSnapshot): boolean {
    return this.#lease.sendingOf(record)?.party === party;
  }

  /** Whether the Lease has a record of this process as it wrote it, and is not released. */
  isHeldBy(party: Party): boolean {
    const { writer, isTouched = false } = this.#lease.newest ?? {};
    return writer === party && !isTouched && this.#holder === party.identity;
  }

  /** Until when the term of this process may be certain; undefined if it has none, or hands it over. */
  certainUntil(candidate: Candidate): number | undefined {
    const term = this.#open.get(candidate);
    return term === undefined || term.term.signal.aborted ? undefined : term.certainUntil;
  }

  /** Whether this process tells its work to stop, waits for it, or releases its lease. */
  handsOver(candidate: Candidate): boolean {
    return this.#open.get(candidate)?.term.signal.aborted === true;
  }

  /** A process of another implementation starts leading. */
  otherStarted(party: Party): void {
    for (const [candidate, term] of this.#open) {
      if (this.#answersTrue(candidate, term) && term.interference === undefined)
        this.broken('G1', `${party.name} leads while ${candidate.name} answers true`);
    }
  }

  /** @param isNew false: a term on two Leases starts, and that on this Lease goes on. Default: true. */
  started(candidate: Candidate, term: WitnessedTerm, isNew = true): void {
    this.#terms += 1;
    const write = this.#lease.writeOf(String(term.fencingToken));
    const interference = this.#lease.interferenceSince(String(term.fencingToken));
    if (write?.party !== candidate)
      this.broken(
        'G3',
        `${candidate.name} has the token ${String(term.fencingToken)}, which is not the version of one of its writes`,
      );
    // If a lease is emptied by hand, the next leader may learn of its term before the previous one does.
    if (isNew && term.fencingToken <= this.#lastToken && interference === undefined)
      this.broken(
        'G3',
        `${candidate.name} has the token ${String(term.fencingToken)} after ${String(this.#lastToken)}`,
      );
    this.#lastToken = term.fencingToken > this.#lastToken ? term.fencingToken : this.#lastToken;
    if (this.#open.has(candidate)) this.broken('G4', `${candidate.name} started a second term in a term`);
    if (!candidate.showsTerm(term) && !term.signal.aborted)
      this.broken('G4', `${candidate.name} announced a term that its state does not show`);
    // It may have been renewed before it was announced.
    const sentAt = Math.max(write?.sentAt ?? candidate.now, this.#sentAt.get(candidate) ?? 0);
    const certainUntil = sentAt + candidate.renewDeadline;
    const history: TermHistory = { term, certainUntil, interference };
    for (const [other, its] of this.#open) this.#compare(candidate, history, other, its);
    this.#open.set(candidate, history);
  }

  /** @param requests the requests of this process for this Lease. */
  stopped(candidate: Candidate, term: WitnessedTerm, reason: TermEndReason, requests: RequestHistory): void {
    const history = this.#open.get(candidate);
    this.#open.delete(candidate);
    if (history?.term !== term) this.broken('G4', `${candidate.name} stopped a term that it does not have`);
    if (!term.signal.aborted)
      this.broken('G4', `${candidate.name} stopped a term and its signal has not fired`);
    if (candidate.showsTerm(term))
      this.broken('G4', `${candidate.name} shows a term that it said has stopped`);
    const handedOver = !isLoss(reason);
    const running = candidate.jobsRunning(this.#slot);
    if (handedOver && running > 0)
      this.broken('G5', `${candidate.name} handed over while ${String(running)} gated job(s) ran`);
    if (handedOver || history === undefined || this.#isExplained(candidate, term, reason, requests)) return;
    const wasHandingOver = (term.signal.reason as TermOverError).reason !== reason;
    const what = `${candidate.name} lost its term (${reason}) although nothing that went wrong explains that`;
    this.broken(wasHandingOver ? 'G5' : 'G7', what);
  }

  /** A gated call was admitted. */
  entered(candidate: Candidate, term: WitnessedTerm): void {
    const history = this.#open.get(candidate);
    const over = history?.term !== term || term.signal.aborted || candidate.now > history.certainUntil;
    if (over) this.broken('G5', `${candidate.name} admitted a gated call outside a term`);
  }

  /** Code of this process asks whether it leads. The answer must be true. */
  look(candidate: Candidate): void {
    const term = this.#open.get(candidate);
    if (term === undefined || !this.#answersTrue(candidate, term)) return;
    for (const [other, its] of this.#open)
      if (other !== candidate) this.#compare(candidate, term, other, its);
  }

  /** Checks that each process has noticed in time what it should have. */
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

  /** The process has no term on this Lease any more: it is dead, or its term has ended on another Lease. */
  left(candidate: Candidate): void {
    this.#open.delete(candidate);
  }

  /** Checks what a process has written. */
  #checkRecord({ client = '', before, after }: SimulatedChange): void {
    const party = this.#parties.get(client);
    if (party?.records === undefined || after === undefined) return;
    // What a process sends at its exit may release its claim although somebody has edited that.
    const isExit = party.loop.liveness !== 'running' && before?.record.holderIdentity === party.identity;
    const isOwn = before !== undefined && (this.#lease.newest?.writer === party || isExit);
    // It keeps a request for the lease that it finds then.
    const spread = party.records.spread || (isExit && before.record.wantedBy === after.record.wantedBy);
    // It writes the transitions that it knew, also after somebody has edited them.
    const { leaseTransitions } = after.record;
    const isEdited = isExit && this.#lease.newest?.isTouched === true;
    const known = isEdited ? { ...before, record: { ...before.record, leaseTransitions } } : before;
    const broken = brokenRule(known, after, { ...party.records, spread }, isOwn);
    if (broken !== undefined) this.broken(broken.guarantee, `${party.name} ${broken.what}`);
  }

  /** Whether something that went wrong with this process or its Lease can end a term for this reason. */
  #isExplained(
    candidate: Candidate,
    { fencingToken }: WitnessedTerm,
    reason: TermEndReason,
    requests: RequestHistory,
  ): boolean {
    const version = String(fencingToken);
    switch (reason) {
      case 'deadline':
        return requests.explainsDeadline();
      case 'leaseGone':
        return this.#lease.wasDeletedSince(version);
      case 'superseded':
        return this.#lease.interferenceSince(version) !== undefined || this.#wasTouchedTwice(candidate);
      case 'released':
        return this.#lease.interferenceSince(version) !== undefined;
      case 'termLimit':
      case 'steppedDown':
      case 'stopped':
        return true;
    }
  }

  /** Two touches within a lease may be those of another process with its name. It may see the second one a lease later. */
  #wasTouchedTwice({ records: { leaseDuration } }: Candidate): boolean {
    return this.#lease.touchesSince(this.#time.now - 2 * leaseDuration) > 1;
  }

  #compare(candidate: Candidate, term: TermHistory, other: Candidate, its: TermHistory): void {
    if (other === candidate || !this.#answersTrue(other, its)) return;
    const hasOlder = its.term.fencingToken < term.term.fencingToken;
    if (this.#isExcused(hasOlder ? its : term, hasOlder ? term : its)) return;
    this.broken('G1', `${candidate.name} and ${other.name} both answer true`);
  }

  /**
   * Whether somebody's interference during the older term excuses the younger one: an edit does, and so does a
   * deletion, unless the creator of the younger term's Lease, or who began that term, owes the last holder a whole lease.
   */
  #isExcused({ interference }: TermHistory, { term }: TermHistory): boolean {
    if (interference?.kind !== 'deleted') return interference !== undefined;
    const version = String(term.fencingToken);
    const creation = this.#lease.creationOf(version);
    if (creation === undefined || creation.party.goesByName) return true;
    const beginning = this.#lease.writeOf(version);
    return (
      !owes(creation, interference.last) && (beginning === undefined || !owes(beginning, interference.last))
    );
  }

  /** Whether the code of the process would be told now that it leads. */
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

/** The graver of two interferences: after an edit nothing is certain; of two deletions, the first one let others in. */
function graver(known: Interference | undefined, other: Interference): Interference {
  return known === undefined || other.kind === 'edited' ? other : known;
}
