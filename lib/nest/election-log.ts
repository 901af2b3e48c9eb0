import { Logger } from '@nestjs/common';
import {
  isLoss,
  readable,
  type ElectionEvent,
  type LeaderError,
  type LeaderErrorCode,
} from '../election/index.js';

/** They are no state of the election that lasts until it is well again: each is told for itself. */
const MOMENTARY: readonly LeaderErrorCode[] = [
  'LEADER_LISTENER_FAILED',
  'LEADER_GUARD_FAILED',
  'LEADER_POD_LABEL_FAILED',
  'LEADER_EVENT_FAILED',
  'LEADER_PERMISSION_MISSING',
];

/** Says what happens in an election, one line a transition, through Nest's logger. */
export class ElectionLog {
  /** For what is said of no election in particular, too. */
  static readonly logger = new Logger('LeaderElection');
  readonly #logger = ElectionLog.logger;
  readonly #election: string;
  readonly #lease: string;
  readonly #identity: string;
  /** The problem that was told last and is not over. */
  #told: string | undefined;

  constructor(names: { election: string; leaseName: string; identity: string }) {
    this.#election = names.election === 'default' ? '' : ` [${names.election}]`;
    this.#lease = names.leaseName;
    this.#identity = names.identity;
  }

  get logger(): Logger {
    return this.#logger;
  }

  campaigns(): void {
    this.#logger.log(`Campaigning for '${this.#lease}'${this.#election} as ${this.#identity}`);
  }

  /** @param stillRunning How many gated calls run, of a term that is over. */
  tell(event: ElectionEvent, stillRunning = 0): void {
    switch (event.type) {
      case 'startedLeading': {
        const token = event.term.fencingToken.toString();
        this.#logger.log(
          `Leading '${event.term.leaseName}'${this.#election} as ${this.#identity}, fencing token ${token}`,
        );
        return;
      }
      case 'stoppedLeading': {
        const whose = `'${event.term.leaseName}'${this.#election} as ${this.#identity}: ${event.reason}`;
        if (isLoss(event.reason)) this.#logger.warn(`Lost ${whose}${waitsFor(stillRunning)}`);
        else this.#logger.log(`Handed over ${whose}`);
        return;
      }
      case 'newLeader':
        if (event.identity !== '' && event.identity !== this.#identity) {
          this.#logger.log(`'${this.#lease}'${this.#election} is led by ${readable(event.identity)}`);
        }
        return;
      case 'error':
        this.#problem(event.error);
        return;
      case 'stateChanged':
        if ('error' in event.state && event.state.error === undefined) this.#recovered();
        return;
    }
  }

  warn(line: string): void {
    this.#logger.warn(line);
  }

  /** A failure that ends the election: an elector that rejects. */
  fatal(error: unknown): void {
    const told = error instanceof Error ? error.message : String(error);
    this.#logger.error(`The election on '${this.#lease}'${this.#election} ended with an error: ${told}`);
  }

  #problem(error: LeaderError): void {
    const lasts = !MOMENTARY.includes(error.code);
    if (lasts && this.#told === error.code) return;
    if (lasts) this.#told = error.code;
    this.#logger.warn(`'${this.#lease}'${this.#election}: ${error.code}: ${error.message}`);
    if (error.code === 'LEADER_LISTENER_FAILED' && error.cause instanceof Error)
      this.#logger.warn(error.cause.stack);
  }

  #recovered(): void {
    if (this.#told !== undefined)
      this.#logger.log(`'${this.#lease}'${this.#election}: well again (${this.#told} is over)`);
    this.#told = undefined;
  }
}

function waitsFor(stillRunning: number): string {
  if (stillRunning === 0) return '';
  return `; ${String(stillRunning)} gated call(s) still run: no campaign before they have ended, or drainTimeout has passed`;
}
