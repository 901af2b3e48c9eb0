import type { Clock, Disposer } from '../clock.js';
import type { Candidacy } from '../elector.js';
import { LeaderError } from '../errors.js';
import { kindOf } from '../options.js';
import { systemClock } from '../system-clock.js';
import { pause } from '../waiting.js';

/** Decides whether this process campaigns. Called once, when the election begins, and again only while it fails. */
export type CampaignChoice = () => boolean | Promise<boolean>;

/** The parts of a {@link Campaign}. */
export interface CampaignParts {
  readonly choice: false | CampaignChoice;
  /** How long to wait before `choice` is called again after it failed, in milliseconds. */
  readonly retryPeriod: number;
  /** Whether this process wants to lead once it campaigns. Default: always. */
  readonly candidacy?: Candidacy | undefined;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock | undefined;
}

/**
 * A candidacy that is decided once, when the election begins: a process that does not campaign follows, and never stands in
 * this run. Until the choice is made, the process does not stand.
 */
export class Campaign implements Candidacy {
  readonly #parts: CampaignParts;
  readonly #clock: Clock;
  #campaigns: boolean | undefined;
  #problem: LeaderError | undefined;

  constructor(parts: CampaignParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    if (parts.choice === false) this.#campaigns = false;
  }

  get stands(): boolean {
    return this.#campaigns === true && (this.#parts.candidacy?.stands ?? true);
  }

  get objection(): LeaderError | undefined {
    return this.#problem ?? (this.#campaigns === true ? this.#parts.candidacy?.objection : undefined);
  }

  get abstains(): boolean {
    return this.#campaigns === false;
  }

  observe(changed: () => void): Disposer {
    const { choice, candidacy } = this.#parts;
    if (choice === false) return () => undefined;
    const ended = new AbortController();
    let disregard: Disposer = () => undefined;
    void this.#decide(choice, changed, ended.signal).then(() => {
      if (ended.signal.aborted) return;
      if (this.#campaigns === true && candidacy !== undefined) disregard = candidacy.observe(changed);
      changed();
    });
    return () => {
      ended.abort();
      disregard();
    };
  }

  /** Resolves when the choice is made, or `ended` fires. */
  async #decide(choice: CampaignChoice, changed: () => void, ended: AbortSignal): Promise<void> {
    const isOver = (): boolean => ended.aborted;
    while (this.#campaigns === undefined && !isOver()) {
      try {
        this.#campaigns = await answerOf(choice);
        this.#problem = undefined;
      } catch (cause) {
        if (isOver()) return;
        // The same error is kept, so that it is reported once.
        this.#problem ??= undecided(cause);
        changed();
        await pause(this.#clock, this.#parts.retryPeriod, ended);
      }
    }
  }
}

/** @throws TypeError for an answer that is neither true nor false: nobody can tell what it means. */
async function answerOf(choice: CampaignChoice): Promise<boolean> {
  const answer: unknown = await choice();
  if (typeof answer === 'boolean') return answer;
  throw new TypeError(`It returned ${kindOf(answer)}: it must return true or false, or a promise of one.`);
}

function undecided(cause: unknown): LeaderError {
  return new LeaderError(
    'LEADER_NOT_READY',
    'The function campaign failed, so this process does not campaign; see its cause. It is called again every retryPeriod.',
    { cause },
  );
}
