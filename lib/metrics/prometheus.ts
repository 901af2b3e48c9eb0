/** `nestjs-leader/metrics`: the election's metrics through prom-client. */
import { Counter, Gauge, Histogram, register as defaultRegister, type Registry } from 'prom-client';
import { InvalidOptionsError, type MetricsProvider } from '../election/index.js';
import * as definitions from './definitions.js';
import { COMMON_LABELS, MASTER_STATUS, type Metric } from './definitions.js';
import type { Instruments } from './instruments.js';
import { LeaseMetrics } from './lease-metrics.js';

/** Elections that report to one registry share its metrics: it takes each name once. */
const metricsOf = new WeakMap<Registry, LeaseMetrics>();

/**
 * For the `metrics` option of an election: its figures, in `register`, under client-go's names and ours; docs/metrics.md lists
 * them. Any number of elections may share a registry, their series differ in the labels `name` (of the Lease) and `election`.
 * Two applications in one process need a registry each if they have an election in common.
 *
 * ```ts
 * LeaderElectionModule.forRoot({ leaseName: 'billing', metrics: prometheusMetrics() })
 * ```
 *
 * Nothing is measured between scrapes that can be looked up at one, and no timer runs.
 *
 * @param register default: prom-client's global one. An election throws `LEADER_INVALID_OPTIONS` at boot if it has a metric of
 * one of these names already.
 */
export function prometheusMetrics(register: Registry = defaultRegister): MetricsProvider {
  // Not before an election asks: a registry that was cleared since, as tests do, gets its metrics anew.
  return { meter: (lease) => metricsIn(register).meter(lease) };
}

function metricsIn(register: Registry): LeaseMetrics {
  const known = metricsOf.get(register);
  if (known !== undefined && register.getSingleMetric(MASTER_STATUS.name) !== undefined) return known;
  refuseTaken(register);
  const made = new LeaseMetrics(instrumentsIn(register));
  metricsOf.set(register, made);
  return made;
}

/** Before the first is made: half of them in a registry would be in the way of the next attempt. */
function refuseTaken(register: Registry): void {
  const taken = Object.values(definitions)
    .filter((definition): definition is Metric => 'name' in definition)
    .filter(({ name }) => register.getSingleMetric(name) !== undefined)
    .map(({ name }) => name);
  if (taken.length === 0) return;
  throw new InvalidOptionsError([
    `metrics: the registry has ${taken.join(', ')} from somewhere else: a name can be there once, so give the election a ` +
      `registry of its own, prometheusMetrics(new Registry()), and show both with Registry.merge()`,
  ]);
}

function instrumentsIn(register: Registry): Instruments {
  const announced = ({ name, help, label }: Metric) => ({
    name,
    help,
    labelNames: label === undefined ? COMMON_LABELS : [...COMMON_LABELS, label],
    registers: [register],
  });
  return {
    counter: (metric) => {
      const counter = new Counter<string>(announced(metric));
      return (labels, by) => {
        counter.inc(labels, by);
      };
    },
    tally: (metric, read) =>
      new Counter<string>({
        ...announced(metric),
        collect() {
          this.reset();
          for (const { labels, value } of read()) this.inc(labels, value);
        },
      }),
    distribution: (metric) => {
      const histogram = new Histogram<string>({ ...announced(metric), buckets: [...metric.buckets] });
      return (labels, seconds) => {
        histogram.observe(labels, seconds);
      };
    },
    gauge: (metric, read) =>
      new Gauge<string>({
        ...announced(metric),
        collect() {
          this.reset();
          for (const { labels, value } of read()) this.set(labels, value);
        },
      }),
  };
}
