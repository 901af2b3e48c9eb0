import { Logger } from '@nestjs/common';
import {
  DEFAULT_ELECTION,
  isLoss,
  readable,
  stepRecorder,
  storyTeller,
  type Clock,
  type Disposer,
  type ElectionEvent,
  type LeadershipTerm,
  type TermEndReason,
  type ElectionTrace,
  type ElectorState,
  type LeaderError,
  type LeaderErrorCode,
  type ResolvedElectionOptions,
  type Takeover,
} from '../election/internal.js';
import type { TraceOption } from './options/module-options.js';

/** The fencing token of every term of a process with `enabled: false`. */
const WITHOUT_LEASE = 0n;

/** Errors after which this process can never lead. */
export const FATAL: readonly LeaderErrorCode[] = ['LEADER_CLIENT_UNUSABLE'];

/** Errors about a single event: no recovery from them is logged. */
const MOMENTARY: readonly LeaderErrorCode[] = [
  'LEADER_PROCESS_PAUSED',
  'LEADER_CLOCK_JUMPED',
  'LEADER_SLOT_UNLED',
  'LEADER_LISTENER_FAILED',
  'LEADER_GUARD_FAILED',
  'LEADER_POD_LABEL_FAILED',
  'LEADER_POD_STATUS_FAILED',
  'LEADER_EVENT_FAILED',
  'LEADER_PERMISSION_MISSING',
  'LEADER_RELEASE_FAILED',
];

/** A hand-over that takes longer than this is logged before it has ended. */
const LONG_HAND_OVER_MS = 1_000;

/** The name of an election that has one of its own, to be shown behind the name of its lease. */
function nameOf(election: string): string {
  return election === DEFAULT_ELECTION ? '' : ` [${election}]`;
}

/** Logs each step of an election on a lease at level `debug`: as a story, or as a recording that can be replayed. */
export function stepLog(
  names: { election: string; leaseName: string },
  form: Exclude<TraceOption, false>,
): ElectionTrace {
  const whose = `'${names.leaseName}'${nameOf(names.election)}`;
  const log = (line: string): void => {
    ElectionLog.logger.debug(`${whose}: ${line}`);
  };
  return form === 'json' ? stepRecorder(log) : storyTeller(log);
}

type OptionsOfLog = Pick<ResolvedElectionOptions, 'releaseOnCancel' | 'drainTimeout' | 'renewDeadline'>;

/** What a line says, as fields. */
type Facts = Readonly<Record<string, unknown>>;

/** Logs what happens in an election through Nest's logger: one line for each transition. */
export class ElectionLog {
  /** Also used for lines that are not about one election. */
  static readonly logger = new Logger('LeaderElection');
  readonly #logger = ElectionLog.logger;
  readonly #election: string;
  readonly #lease: string;
  readonly #identity: string;
  readonly #handle: { readonly election: string; readonly clock: Clock; readonly state: ElectorState };
  readonly #options: OptionsOfLog;
  readonly #logFields: string | undefined;
  /** The problems that were logged and have not ended. */
  readonly #told = new Set<LeaderErrorCode>();
  /** Cancels the timer that logs a long hand-over. Undefined while no hand-over is in progress. */
  #cancelLine: Disposer | undefined;
  /** The release of the term that ends was not confirmed. */
  #isUnconfirmed = false;
  /** Who has asked for the lease of the term that ends. */
  #askedBy: string | undefined;

  /** @param logFields the key of the sentence, beside the facts as fields. Undefined: only the sentence is logged. */
  constructor(
    handle: {
      readonly election: string;
      readonly leaseName: string;
      readonly identity: string;
      readonly clock: Clock;
      readonly state: ElectorState;
    },
    options: OptionsOfLog,
    logFields?: string,
  ) {
    this.#election = nameOf(handle.election);
    this.#lease = handle.leaseName;
    this.#identity = handle.identity;
    this.#handle = handle;
    this.#options = options;
    this.#logFields = logFields;
  }

  /** @param campaigns false: it follows; `undecided`: a function will say. */
  begins(campaigns: boolean | 'undecided'): void {
    const whose = `'${this.#lease}'${this.#election} as ${this.#identity}`;
    if (campaigns === true) this.#log(`Campaigning for ${whose}`);
    else if (campaigns === false)
      this.#log(`Following ${whose}; this process does not campaign (campaign: false)`);
    else this.#log(`Following ${whose}, until campaign() says whether to campaign`);
  }

  /** @param stillRunning how many gated calls of an ended term still run. */
  tell(event: ElectionEvent, stillRunning = 0): void {
    switch (event.type) {
      case 'startedLeading': {
        const token = event.term.fencingToken.toString();
        this.#log(
          `Leading '${event.term.leaseName}'${this.#election} as ${this.#identity}, fencing token ${token}${afterCrash(event.takeover)}`,
          { event: 'startedLeading', fencingToken: token },
        );
        return;
      }
      case 'stoppedLeading': {
        const whose = `'${event.term.leaseName}'${this.#election} as ${this.#identity}: ${event.reason}`;
        const { reason, term } = event;
        const facts = { event: 'stoppedLeading', reason, fencingToken: term.fencingToken.toString() };
        if (isLoss(reason)) this.#warn(`Lost ${whose}${waitsFor(stillRunning)}`, facts);
        else this.#log(this.#endOf(term, reason, whose), facts);
        this.#isUnconfirmed = false;
        this.#askedBy = undefined;
        return;
      }
      case 'newLeader':
        if (event.identity !== '' && event.identity !== this.#identity) {
          this.#log(`'${this.#lease}'${this.#election} is led by ${readable(event.identity)}`, {
            event: 'newLeader',
            leader: readable(event.identity),
          });
        }
        return;
      case 'error':
        this.#problem(event.error);
        return;
      case 'stateChanged':
        if (event.state.kind === 'handingOver') this.#askedBy ??= event.state.askedBy;
        this.#review(event.state);
        this.#timeHandOver(event.state);
        return;
    }
  }

  /** How a term ended that was not lost. */
  #endOf(term: LeadershipTerm, reason: TermEndReason, whose: string): string {
    if (term.fencingToken === WITHOUT_LEASE) return `Stopped leading ${whose}`;
    if (reason === 'stopped' && !this.#options.releaseOnCancel)
      return `Stopped leading ${whose}; the lease is not released (releaseOnCancel: false)`;
    if (this.#isUnconfirmed) return `Stopped leading ${whose}; the release is not confirmed`;
    return `Handed over ${whose}${asked(this.#askedBy)}`;
  }

  #log(line: string, facts?: Facts): void {
    this.#logger.log(this.#shown(line, facts));
  }

  #warn(line: string, facts?: Facts): void {
    this.#logger.warn(this.#shown(line, facts));
  }

  #error(line: string, facts?: Facts): void {
    this.#logger.error(this.#shown(line, facts));
  }

  /** The line, or an object that has it and the facts. */
  #shown(line: string, facts: Facts = {}): unknown {
    const key = this.#logFields;
    const { election } = this.#handle;
    const whose = { lease: this.#lease, election, identity: this.#identity };
    return key === undefined ? line : { [key]: line, ...whose, ...facts };
  }

  /** Logs what a hand-over waits for, if that takes long: whoever stops the process wonders why it does not end. */
  #timeHandOver({ kind }: ElectorState): void {
    if (kind !== 'handingOver') {
      this.#cancelLine?.();
      this.#cancelLine = undefined;
      return;
    }
    this.#cancelLine ??= this.#handle.clock.setTimer(LONG_HAND_OVER_MS, () => {
      const { state } = this.#handle;
      if (state.kind !== 'handingOver' || state.term.fencingToken === WITHOUT_LEASE) return;
      const { drainTimeout, renewDeadline } = this.#options;
      const waits =
        state.stillRunning > 0
          ? // Only a shutdown waits no longer than that.
            `${state.reason === 'stopped' ? `up to ${seconds(drainTimeout)} ` : ''}for ${String(state.stillRunning)} gated call(s)`
          : `up to ${seconds(renewDeadline)} for the release to be confirmed`;
      const line = `Handing over '${this.#lease}'${this.#election} as ${this.#identity}: waits ${waits}`;
      this.#log(line, {
        event: 'handingOver',
        reason: state.reason,
        stillRunning: state.stillRunning,
      });
    });
  }

  warn(line: string): void {
    this.#warn(line);
  }

  /** Logs the error that ended the election. */
  fatal(error: unknown): void {
    const told = error instanceof Error ? error.message : String(error);
    this.#error(`The election on '${this.#lease}'${this.#election} ended with an error: ${told}`);
  }

  #problem(error: LeaderError): void {
    if (error.code === 'LEADER_RELEASE_FAILED') this.#isUnconfirmed = true;
    const lasts = !MOMENTARY.includes(error.code);
    if (lasts && this.#told.has(error.code)) return;
    if (lasts) this.#told.add(error.code);
    const line = `'${this.#lease}'${this.#election}: ${error.code}: ${error.message}`;
    const facts = { event: 'error', code: error.code };
    if (FATAL.includes(error.code)) this.#error(line, facts);
    else this.#warn(line, facts);
    if (error.code === 'LEADER_LISTENER_FAILED' && error.cause instanceof Error)
      this.#logger.warn(error.cause.stack);
  }

  /** Logs which of the logged problems have ended. */
  #review(state: ElectorState): void {
    if (!('error' in state)) return;
    const lasting = problemsIn(state);
    const over = [...this.#told].filter((code) => !lasting.includes(code));
    for (const code of over) this.#told.delete(code);
    if (over.length === 0) return;
    const remaining = this.#told.size === 0 ? '' : `, still failing (${[...this.#told].join(', ')})`;
    this.#log(`'${this.#lease}'${this.#election}: recovered (${over.join(', ')})${remaining}`, {
      event: 'recovered',
      codes: over,
    });
  }
}

function problemsIn(state: Exclude<ElectorState, { kind: 'idle' | 'stopped' }>): LeaderErrorCode[] {
  const { error, problems = error === undefined ? [] : [error] } = state;
  const drains = 'stillRunning' in state && state.stillRunning > 0;
  return [...problems.map(({ code }) => code), ...(drains ? (['LEADER_DRAIN_TIMEOUT'] as const) : [])];
}

function asked(by: string | undefined): string {
  return by === undefined ? '' : `, asked by ${readable(by)}`;
}

/** How the lease became free, if its holder did not release it. */
function afterCrash(takeover: Takeover | undefined): string {
  if (takeover === 'dead') return '; the holder before it was proven dead';
  return takeover === 'unclean' ? '; the lease had expired' : '';
}

function seconds(ms: number): string {
  return `${String(Math.round(ms / 100) / 10)} s`;
}

function waitsFor(stillRunning: number): string {
  if (stillRunning === 0) return '';
  return `; ${String(stillRunning)} gated call(s) still run: this process campaigns when they have ended, or after drainTimeout`;
}
