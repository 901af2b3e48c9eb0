/** All metrics, with their names in Prometheus. The first two have client-go's names. A test compares them with docs/metrics.md. */

/** The labels of every series. `name` is the name of the Lease, as in client-go. */
export const COMMON_LABELS = ['name', 'election'] as const;

/** The definition of a metric. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  /** Its label besides the common ones. */
  readonly label?: string;
}

/** The definition of a histogram. */
export interface DistributionMetric extends Metric {
  /** The upper bounds, in seconds. */
  readonly buckets: readonly number[];
}

export const MASTER_STATUS: Metric = {
  name: 'leader_election_master_status',
  help: 'Whether this process leads at the moment of the scrape: 1 for yes, 0 for no. 0 also while it hands over.',
};

export const SLOWPATH: Metric = {
  name: 'leader_election_slowpath_total',
  help: 'Renewals after which the lease had to be read: somebody else had changed it, or their outcome was unknown.',
};

export const VALIDITY: Metric = {
  name: 'leader_election_validity_seconds',
  help:
    'How long this process certainly leads without a further renewal. At most renewDeadline, 0 for a process that does not ' +
    'lead, +Inf without a lease.',
};

export const TERMS: Metric = {
  name: 'leader_election_terms_total',
  help:
    'Terms that this process began, by the state of the lease before. none: there was none; clean: released; unclean: expired ' +
    'with another holder; dead: its holder was proven dead; own: still its own, after a term that it had lost.',
  label: 'takeover',
};

/** The buckets range from a term that is lost at once to one that lasts as long as a deployment. */
export const TERM_DURATION: DistributionMetric = {
  name: 'leader_election_term_duration_seconds',
  help:
    'Duration of the terms of this process, by the reason of their end. Terms that ended with deadline, superseded, leaseGone ' +
    'or released were lost; with stopped, steppedDown or termLimit they were handed over.',
  label: 'reason',
  buckets: [10, 60, 600, 3_600, 21_600, 86_400, 604_800],
};

/** The buckets range from a healthy API server's few milliseconds to the default renewDeadline, when the term is over. */
export const RENEW_DURATION: DistributionMetric = {
  name: 'leader_election_renew_duration_seconds',
  help:
    'Time from the sending of a renewal to its outcome. renewed: it succeeded; conflict: the lease had changed; failed: an ' +
    'error, or no reply in time.',
  label: 'outcome',
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
};

export const WATCH_OPEN: Metric = {
  name: 'leader_election_watch_open',
  help: 'Whether the watch on the lease is open: 1 or 0. Without it the lease is polled, and a hand-over takes longer.',
};

export const ERRORS: Metric = {
  name: 'leader_election_errors_total',
  help: 'Errors of the election, by code. No error is final: the election continues.',
  label: 'code',
};

export const GATED_CALLS: Metric = {
  name: 'leader_election_gated_calls_total',
  help:
    'Calls of methods under @OnlyWhenLeader, by outcome. run: begun in a term; skipped: silently not run; deferred: waits for ' +
    'a term; rejected: the caller got an error; answered: by the function given as otherwise.',
  label: 'outcome',
};

export const DRAINED: Metric = {
  name: 'leader_election_drained_total',
  help: 'Pieces of gated work that were still running when their term ended or was handed over.',
};
