import type {
  ElectionFact,
  ElectionMeter,
  GatedCallOutcome,
  LeadershipTerm,
  MeteredLease,
  MetricsProvider,
} from '../election/internal.js';
import * as metrics from './definitions.js';
import type { Instruments, Labels, Reading } from './instruments.js';

/** The data of one election. */
interface Lease {
  readonly labels: Labels;
  /** Whether an elector has run on it. */
  joined: boolean;
  /** The last term, whether it is over or not. */
  term: LeadershipTerm | undefined;
  /** Undefined if there is no watch. */
  watchIsOpen: boolean | undefined;
  /** Counted here, because a metrics library takes microseconds per count, which is too long for a gated call. */
  readonly calls: Map<GatedCallOutcome, number>;
}

const MS_PER_SECOND = 1_000;
const TAKEOVERS = ['none', 'clean', 'unclean', 'dead', 'own'] as const;

/**
 * Turns the facts of elections into metrics, for any metrics library. There is one per registry, whose elections share the
 * metrics. Values that can be computed when metrics are collected are computed then. So whether this process leads is as
 * certain as `isLeader()`, not the memory of the last event.
 */
export class LeaseMetrics implements MetricsProvider {
  readonly #leases = new Map<string, Lease>();
  readonly #slowPath: ReturnType<Instruments['counter']>;
  readonly #terms: ReturnType<Instruments['counter']>;
  readonly #errors: ReturnType<Instruments['counter']>;
  readonly #drained: ReturnType<Instruments['counter']>;
  readonly #termDuration: ReturnType<Instruments['distribution']>;
  readonly #renewDuration: ReturnType<Instruments['distribution']>;

  constructor(instruments: Instruments) {
    this.#slowPath = instruments.counter(metrics.SLOWPATH);
    this.#terms = instruments.counter(metrics.TERMS);
    this.#errors = instruments.counter(metrics.ERRORS);
    this.#drained = instruments.counter(metrics.DRAINED);
    this.#termDuration = instruments.distribution(metrics.TERM_DURATION);
    this.#renewDuration = instruments.distribution(metrics.RENEW_DURATION);
    instruments.tally(metrics.GATED_CALLS, () => this.#readCalls());
    instruments.gauge(metrics.MASTER_STATUS, () => this.#read(leads));
    instruments.gauge(metrics.VALIDITY, () => this.#read(validFor));
    instruments.gauge(metrics.WATCH_OPEN, () => this.#read(watchOpen));
  }

  meter({ leaseName, election }: MeteredLease): ElectionMeter {
    const lease = this.#lease({ name: leaseName, election });
    return (fact) => {
      this.#note(lease, fact);
    };
  }

  #lease(labels: { readonly name: string; readonly election: string }): Lease {
    const key = JSON.stringify([labels.name, labels.election]);
    const known = this.#leases.get(key);
    if (known !== undefined) return known;
    const lease: Lease = { labels, joined: false, term: undefined, watchIsOpen: undefined, calls: new Map() };
    this.#leases.set(key, lease);
    return lease;
  }

  #note(lease: Lease, fact: ElectionFact): void {
    const { labels } = lease;
    switch (fact.type) {
      case 'joined':
        lease.joined = true;
        this.#beginAtZero(labels);
        return;
      case 'termBegan':
        lease.term = fact.term;
        this.#terms({ ...labels, takeover: fact.takeover }, 1);
        return;
      case 'termEnded':
        this.#termDuration({ ...labels, reason: fact.reason }, fact.lengthMs / MS_PER_SECOND);
        return;
      case 'renewal':
        this.#renewDuration({ ...labels, outcome: fact.outcome }, fact.latencyMs / MS_PER_SECOND);
        return;
      case 'slowPath':
        this.#slowPath(labels, 1);
        return;
      case 'watch':
        lease.watchIsOpen = fact.isOpen;
        return;
      case 'draining':
        this.#drained(labels, fact.pieces);
        return;
      case 'failed':
        this.#errors({ ...labels, code: fact.code }, 1);
        return;
      case 'call':
        lease.calls.set(fact.outcome, (lease.calls.get(fact.outcome) ?? 0) + 1);
        return;
      default:
        fact satisfies never;
    }
  }

  /** Creates the series with value 0, because `increase()` misses an event that creates its series. */
  #beginAtZero(labels: Labels): void {
    this.#slowPath(labels, 0);
    this.#drained(labels, 0);
    for (const takeover of TAKEOVERS) this.#terms({ ...labels, takeover }, 0);
  }

  *#readCalls(): Iterable<Reading> {
    for (const { labels, calls } of this.#leases.values())
      for (const [outcome, value] of calls) yield { labels: { ...labels, outcome }, value };
  }

  /** One reading for each lease that has a value. */
  *#read(look: (lease: Lease) => number | undefined): Iterable<Reading> {
    for (const lease of this.#leases.values()) {
      const value = look(lease);
      if (value !== undefined) yield { labels: lease.labels, value };
    }
  }
}

function leads({ joined, term }: Lease): number | undefined {
  if (!joined) return undefined;
  return term === undefined || term.isOver ? 0 : 1;
}

function validFor({ joined, term }: Lease): number | undefined {
  return joined ? (term?.remaining() ?? 0) / MS_PER_SECOND : undefined;
}

function watchOpen({ watchIsOpen }: Lease): number | undefined {
  return watchIsOpen === undefined ? undefined : Number(watchIsOpen);
}
