/**
 * Every metric, by the name that Prometheus shows. The first two are client-go's, name for name. docs/metrics.md has the table,
 * and a test compares them.
 */

/** The labels of every series. `name` is the name of the Lease, as in client-go. */
export const COMMON_LABELS = ['name', 'election'] as const;

/** The definition of a metric. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  /** The label that it has besides the common ones. */
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
  help: 'Renewals after which the lease had to be read: somebody else had changed it, or no answer told what came of them.',
};

export const VALIDITY: Metric = {
  name: 'leader_election_validity_seconds',
  help:
    'For how long this process leads for certain if it hears nothing more. At most renewDeadline, 0 for a process that does ' +
    'not lead, +Inf where there is no lease.',
};

export const TERMS: Metric = {
  name: 'leader_election_terms_total',
  help:
    'Terms that this process began, by how it found the lease. none: there was none; clean: released; unclean: its holder ' +
    'let it run out; own: its own, after a term that it had lost.',
  label: 'takeover',
};

/** From a term that is lost at once to one that lasts as long as a deployment. */
export const TERM_DURATION: DistributionMetric = {
  name: 'leader_election_term_duration_seconds',
  help:
    'How long terms of this process lasted, by why they ended. deadline, superseded, leaseGone and released are losses; ' +
    'stopped, steppedDown and termLimit were handed over.',
  label: 'reason',
  buckets: [10, 60, 600, 3_600, 21_600, 86_400, 604_800],
};

/** From a healthy API server's few milliseconds to the default renewDeadline, after which the term is over. */
export const RENEW_DURATION: DistributionMetric = {
  name: 'leader_election_renew_duration_seconds',
  help:
    'From sending a renewal of the lease to what came of it. renewed: carried out; conflict: the lease was not as last ' +
    'seen; failed: an error, or no answer in time.',
  label: 'outcome',
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
};

export const WATCH_OPEN: Metric = {
  name: 'leader_election_watch_open',
  help: 'Whether the watch on the lease is open: 1 or 0. Without it the lease is polled, and a handover takes longer.',
};

export const ERRORS: Metric = {
  name: 'leader_election_errors_total',
  help: 'What failed in the election, by error code. None is final: it goes on.',
  label: 'code',
};

export const GATED_CALLS: Metric = {
  name: 'leader_election_gated_calls_total',
  help:
    'Calls of methods under @OnlyWhenLeader, by what came of them. run: begun in a term; skipped: not done, silently; ' +
    'deferred: waits for a term; rejected: its caller was told; answered: by the function given as otherwise.',
  label: 'outcome',
};

export const DRAINED: Metric = {
  name: 'leader_election_drained_total',
  help: 'Pieces of gated work that were running when their term had to stop, and were waited for.',
};
