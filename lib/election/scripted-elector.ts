/**
 * An elector that plays the roles it is given: pushed by hand, or read from an async iterable. For tests, and for
 * whoever elects by other means and wants the rest of this package.
 */
import { unlimited } from './active-term.js';
import type { Clock } from './clock.js';
import type { ElectionObserver, Elector, ElectorState, StepDownOptions } from './elector.js';
import { leaselessPhases } from './leaseless-phases.js';
import type { Phases } from './phases.js';
import type { Role } from './static-elector.js';
import { SystemClock } from './system-clock.js';
import type { TermEndReason } from './term.js';

/** What a {@link ScriptedElector} is made of. */
export interface ScriptedElectorParts {
  /** Roles to play, each as soon as it comes. When they end, the last one stays; if they fail, `run` rejects so. */
  readonly roles?: AsyncIterable<Role>;
  /** Default `'scripted'`. */
  readonly leaseName?: string;
  /** Default `'me'`. */
  readonly identity?: string;
  /** Milliseconds. Default 20000. */
  readonly drainTimeout?: number;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock;
}

/** See the head of the file. */
export class ScriptedElector implements Elector {
  readonly leaseName: string;
  readonly identity: string;
  readonly #roles: AsyncIterable<Role> | undefined;
  readonly #clock: Clock;
  readonly #phases: Phases;
  readonly #describe: () => ElectorState;
  /** What to play when the run starts, and who leads when we do not. */
  #part: { readonly role: Role; readonly leader: string } = { role: 'follower', leader: '' };
  #lastToken = 0n;
  #toldLeader = '';
  #settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  constructor(parts: ScriptedElectorParts = {}) {
    const {
      leaseName = 'scripted',
      identity = 'me',
      drainTimeout = 20_000,
      clock = new SystemClock(),
    } = parts;
    this.leaseName = leaseName;
    this.identity = identity;
    this.#roles = parts.roles;
    this.#clock = clock;
    const { phases, describe } = leaselessPhases(
      { leaseName, identity, drainTimeout, clock },
      {
        leader: () => this.#part.leader,
        wake: () => undefined,
        stopped: () => this.#settle?.resolve(),
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
      this.#phases.leave();
    };
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    this.#play();
    void this.#readRoles(signal);
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
   * Begins a term, or says what to start with if the run has not begun. Nothing happens while one is on.
   *
   * @param options.fencingToken Default: one more than the last.
   */
  grant(options: { fencingToken?: bigint } = {}): void {
    if (options.fencingToken !== undefined) this.#lastToken = options.fencingToken - 1n;
    this.#part = { role: 'leader', leader: this.identity };
    this.#play();
  }

  /** The term is lost, without a hand-over. `leader` is who has it now; default: nobody. */
  revoke(reason: TermEndReason = 'superseded', leader = ''): void {
    this.#part = { role: 'follower', leader };
    this.#phases.lose(reason);
    this.#tellLeader();
  }

  /** Ends the run with an error, as a fatal configuration error does. A term is lost with it. */
  fail(error: Error): void {
    this.revoke('stopped');
    this.#settle?.reject(error);
  }

  /** Hands over and follows from then on, until the next `grant`. */
  async stepDown(_options?: StepDownOptions): Promise<void> {
    this.#part = { role: 'follower', leader: '' };
    await this.#phases.handOver('steppedDown', 0);
    this.#tellLeader();
  }

  #play(): void {
    if (this.#phases.current.kind === 'following' && this.#part.role === 'leader') {
      this.#lastToken += 1n;
      this.#phases.begin({ fencingToken: this.#lastToken, slot: 0, validity: unlimited(this.#clock) });
    }
    this.#tellLeader();
  }

  #tellLeader(): void {
    const { leader } = this.#part;
    if (leader === this.#toldLeader || this.#phases.current.kind === 'idle') return;
    this.#toldLeader = leader;
    this.#phases.tell({ type: 'newLeader', identity: leader });
  }

  async #readRoles(signal: AbortSignal): Promise<void> {
    try {
      for await (const role of this.#roles ?? []) {
        if (signal.aborted) return;
        this.push(role);
      }
    } catch (error) {
      this.revoke('stopped');
      this.#settle?.reject(error);
    }
  }
}
