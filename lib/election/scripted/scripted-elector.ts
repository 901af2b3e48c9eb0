/**
 * An elector that plays the roles it is given: pushed by hand, or read from an async iterable. For tests, and for
 * whoever elects by other means and wants the rest of this package.
 */
import { unlimited, validityOf, type Validity } from '../active-term.js';
import { Alarm } from '../alarm.js';
import { after, type Clock } from '../clock.js';
import {
  cooldownIn,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type StepDownOptions,
} from '../elector.js';
import { leaselessPhases } from '../static/leaseless-phases.js';
import { DURATION, refuseInvalid } from '../option-rules.js';
import type { Phases } from '../phases.js';
import {
  refuseInvalidGrant,
  refuseInvalidReason,
  type GrantOptions,
  type ScriptedElectorParts,
} from './scripted-options.js';
import type { Role } from '../static/static-elector.js';
import { SystemClock } from '../system-clock.js';
import type { TermEndReason } from '../term.js';

/** What to do where no term is on: begin one, or follow somebody. */
type Part = { readonly grant: GrantOptions } | { readonly leader: string };

/** See the head of the file. */
export class ScriptedElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly #roles: AsyncIterable<Role> | undefined;
  readonly clock: Clock;
  readonly #termLimit: number;
  readonly #endOfTerm: Alarm;
  readonly #phases: Phases;
  readonly #describe: () => ElectorState;
  /** A grant waits in it until there is room for its term. */
  #part: Part = { leader: '' };
  #lastToken = 0n;
  #toldLeader = '';
  #failure: { readonly error: unknown } | undefined;
  /** Aborted when no role is played any more. */
  readonly #reading = new AbortController();
  #settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  /** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
  constructor(parts: ScriptedElectorParts = {}) {
    const {
      leaseName = 'scripted',
      identity = 'me',
      drainTimeout = 20_000,
      termLimit = 0,
      clock = new SystemClock(),
    } = parts;
    refuseInvalid(
      'The parts of a ScriptedElector',
      { drainTimeout, termLimit },
      { drainTimeout: DURATION, termLimit: DURATION },
    );
    this.leaseName = leaseName;
    this.identity = identity;
    this.#roles = parts.roles;
    this.clock = clock;
    this.#termLimit = termLimit;
    this.#endOfTerm = new Alarm(clock, () => {
      // The term may have ended before, and what was asked for since stands.
      if (this.#phases.current.kind === 'leading') void this.#handOver('termLimit');
    });
    const { phases, describe } = leaselessPhases(
      { leaseName, identity, drainTimeout, clock, meter: parts.meter },
      {
        leader: () => this.#leader,
        wake: () => {
          this.#play();
        },
        stopped: () => {
          this.#endOfTerm.clear();
          if (this.#failure === undefined) this.#settle?.resolve();
          else this.#settle?.reject(this.#failure.error);
        },
      },
    );
    this.#phases = phases;
    this.#describe = describe;
  }

  /** What it is doing. */
  get state(): ElectorState {
    return this.#describe();
  }

  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    this.#phases.start(observer);
    const ended = new Promise<void>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    const leave = (): void => {
      this.#reading.abort();
      this.#phases.leave();
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted || this.#failure !== undefined) leave();
    this.#play();
    void this.#readRoles();
    try {
      await ended;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  /** Plays `role` from now on. */
  push(role: Role): void {
    if (role === 'leader') this.grant();
    else this.revoke();
  }

  /**
   * Begins a term: at once, or as soon as the run has begun, or the term that is being handed over has ended. Nothing
   * happens while one is on.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`
   */
  grant(options: GrantOptions = {}): void {
    refuseInvalidGrant(options);
    if (this.#phases.current.kind === 'leading') return;
    this.#part = { grant: options };
    this.#play();
  }

  /**
   * The term is lost, without a hand-over. `leader` is who has it now; default: nobody.
   *
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a reason that is none.
   */
  revoke(reason: TermEndReason = 'superseded', leader = ''): void {
    refuseInvalidReason(reason);
    this.#part = { leader };
    this.#phases.lose(reason);
    this.#play();
  }

  /** Ends the run with an error, as a fatal configuration error does: a term is lost, its work waited for, and nothing more begins. */
  fail(error: Error): void {
    this.#fail(error);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#reading.abort();
    this.revoke('stopped');
    this.#phases.leave();
  }

  /** Hands over and follows from then on, until the next `grant`. */
  async stepDown(options: StepDownOptions = {}): Promise<void> {
    cooldownIn(options);
    await this.#handOver('steppedDown');
  }

  #handOver(reason: TermEndReason): Promise<void> {
    this.#part = { leader: '' };
    return this.#phases.handOver(reason, 0);
  }

  /** Who is to be told of as the leader. */
  get #leader(): string {
    const { kind } = this.#phases.current;
    if (kind === 'leading' || kind === 'handingOver') return this.identity;
    return 'leader' in this.#part ? this.#part.leader : '';
  }

  #play(): void {
    this.#phases.enter(() => {
      this.#perform();
    });
  }

  #perform(): void {
    if (this.#phases.current.kind === 'following' && 'grant' in this.#part) this.#begin(this.#part.grant);
    const leader = this.#leader;
    if (leader === this.#toldLeader || this.#phases.current.kind === 'idle') return;
    this.#toldLeader = leader;
    this.#phases.tell({ type: 'newLeader', identity: leader });
  }

  #begin({ fencingToken = this.#lastToken + 1n, slot = 0, validFor }: GrantOptions): void {
    this.#part = { leader: '' };
    this.#lastToken = fencingToken;
    if (this.#termLimit > 0) this.#endOfTerm.set(after(this.clock.now(), this.#termLimit));
    this.#phases.begin({ fencingToken, slot, validity: this.#validity(validFor) });
  }

  #validity(validFor: number | undefined): Validity {
    const { clock } = this;
    return validFor === undefined ? unlimited(clock) : validityOf(clock.now(), clock.date(), validFor);
  }

  async #readRoles(): Promise<void> {
    const { signal } = this.#reading;
    const isOver = (): boolean => signal.aborted;
    if (isOver()) return;
    let close = (): void => undefined;
    try {
      const iterator = iterate(this.#roles ?? []);
      // What the roles come from may hold something open.
      close = () => {
        void closed(iterator);
      };
      signal.addEventListener('abort', close, { once: true });
      for (;;) {
        const next = await iterator.next();
        if (next.done === true || isOver()) break;
        this.push(next.value);
      }
      signal.removeEventListener('abort', close);
    } catch (error) {
      signal.removeEventListener('abort', close);
      // Of one that was closed it is how it ends.
      if (!isOver()) this.#fail(error);
    }
  }
}

type Roles = Iterable<Role> | AsyncIterable<Role>;
type RolesIterator = Iterator<Role, unknown> | AsyncIterator<Role, unknown>;

function iterate(roles: Roles): RolesIterator {
  return Symbol.asyncIterator in roles ? roles[Symbol.asyncIterator]() : roles[Symbol.iterator]();
}

async function closed(iterator: RolesIterator): Promise<void> {
  try {
    await iterator.return?.();
  } catch {
    // Nothing of it is wanted any more.
  }
}
