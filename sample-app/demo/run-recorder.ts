import type { ReplicaMessage } from '../replica-report.js';
import { machineNow } from './machine-clock.js';
import type { ProcessState, RunEvent, RunEventKind } from './page/recording.js';
import { showDuration } from './show-time.js';

/** A renewal of a term moves its end by more than a second; less is only the rounding of two clocks. */
const RENEWED_BY_MS = 100;

/** The reasons for which a leader gives up its lease, so that nobody waits until it runs out. */
const handsOver: ReadonlySet<string> = new Set(['released', 'termLimit', 'steppedDown', 'stopped']);

interface KnownTerm {
  readonly lane: string;
  readonly token: string;
  until: number;
  endedAt: number | undefined;
}

/** What ended, or will end, the term of a leader. */
interface Cause {
  readonly at: number;
  readonly what: string;
}

/** Collects what the page shows of a run. All times that it is given are milliseconds of the machine's clock. */
export class RunRecorder {
  readonly startedAt: number;
  readonly events: RunEvent[] = [];
  readonly #listeners = new Set<(event: RunEvent) => void>();
  readonly #groups = new Map<string, string>();
  readonly #terms = new Map<string, KnownTerm>();
  /** The newest term of each group. */
  readonly #newest = new Map<string, KnownTerm>();
  /** What was done to the leader of each group. */
  readonly #causes = new Map<string, Cause>();
  /** The sentences about broken guarantees so far. */
  readonly #told = new Set<string>();

  constructor(startedAt: number) {
    this.startedAt = startedAt;
  }

  /** Calls `listener` with each event from now on, until the function that is returned is called. */
  subscribe(listener: (event: RunEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A process starts in a lane of this group of replicas. */
  started(at: number, lane: string, group: string, identity: string): void {
    if (!this.#groups.has(lane)) {
      this.#groups.set(lane, group);
      this.#add(at, lane, 'lane', group);
    }
    this.#add(at, lane, 'process', identity);
  }

  state(at: number, lane: string, state: ProcessState): void {
    this.#add(at, lane, 'state', state);
    if (state !== 'gone') return;
    for (const term of this.#terms.values())
      if (term.lane === lane) this.#end(lane, term.token, at, 'its process has ended');
  }

  /** Whether requests of this lane reach the API server. */
  reach(at: number, lane: string, reach: 'cut' | 'open'): void {
    this.#add(at, lane, 'reach', reach);
  }

  /** Somebody does something to the process. If it leads, that is the cause of the next hand-over, until it is undone. */
  act(at: number, lane: string, what: string, isUndoing: boolean): void {
    this.#add(at, lane, 'act', what);
    const group = this.#groups.get(lane) ?? '';
    const term = this.#newest.get(group);
    if (term?.lane !== lane || term.endedAt !== undefined || at >= term.until) return;
    if (isUndoing) this.#causes.delete(group);
    else if (!this.#causes.has(group)) this.#causes.set(group, { at, what });
  }

  note(at: number, lane: string, text: string): void {
    this.#add(at, lane, 'note', text);
  }

  /** Adds those sentences that were not added before. */
  broken(at: number, sentences: readonly string[]): void {
    for (const sentence of sentences) {
      if (this.#told.has(sentence)) continue;
      this.#told.add(sentence);
      this.#add(at, '', 'broken', sentence);
    }
  }

  /** Takes the report of a replica. */
  take(lane: string, identity: string, message: ReplicaMessage): void {
    switch (message.type) {
      case 'ready':
        this.#add(message.at, lane, 'state', 'running');
        return;
      case 'claim':
        this.#claim(lane, identity, message.token, message.from, message.until);
        return;
      case 'claimEnded':
        this.#end(lane, message.token, message.at, message.reason);
        return;
      case 'job':
        this.#add(message.at, lane, 'job', '', { token: message.token });
        return;
      case 'looked':
      case 'leader':
        return;
    }
  }

  #claim(lane: string, identity: string, token: string, from: number, until: number): void {
    const key = `${lane}/${token}`;
    const known = this.#terms.get(key);
    if (known !== undefined) {
      if (known.endedAt !== undefined || until - known.until < RENEWED_BY_MS) return;
      known.until = until;
      this.#add(machineNow(), lane, 'renewal', '', { token, until: this.#since(until) });
      return;
    }
    const group = this.#groups.get(lane) ?? '';
    const former = this.#newest.get(group);
    const cause = this.#causes.get(group);
    const term = { lane, token, until, endedAt: undefined };
    this.#terms.set(key, term);
    this.#newest.set(group, term);
    this.#causes.delete(group);
    const leads = `${identity} leads, token ${token}`;
    this.#add(from, lane, 'term', former === undefined ? leads : '', { token, until: this.#since(until) });
    if (former === undefined) return;
    const { at, what } = cause ?? { at: former.endedAt ?? former.until, what: 'the former term ended' };
    const tookMs = Math.max(0, from - at);
    this.#add(from, lane, 'handOver', `${leads}, after ${showDuration(tookMs)}`, {
      token,
      tookMs,
      cause: what,
    });
  }

  #end(lane: string, token: string, at: number, reason: string): void {
    const term = this.#terms.get(`${lane}/${token}`);
    if (term === undefined || term.endedAt !== undefined) return;
    // A frozen replica reports this only when it continues. Its term was over before.
    term.endedAt = Math.min(at, term.until);
    this.#add(term.endedAt, lane, 'termEnd', reason, { token, released: handsOver.has(reason) });
  }

  #since(at: number): number {
    return round(at - this.startedAt);
  }

  #add(at: number, lane: string, kind: RunEventKind, text: string, rest: Partial<RunEvent> = {}): void {
    const event: RunEvent = { at: this.#since(at), lane, kind, text, ...rest };
    this.events.push(event);
    for (const listener of this.#listeners) listener(event);
  }
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
