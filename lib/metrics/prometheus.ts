/** `nestjs-leader/metrics`: the figures of elections for prom-client. */
import { Counter, Gauge, Histogram, register as defaultRegister, type Registry } from 'prom-client';
import { InvalidOptionsError, type MetricsProvider } from '../election/internal.js';
import * as definitions from './definitions.js';
import { COMMON_LABELS, MASTER_STATUS, type Metric } from './definitions.js';
import type { Instruments } from './instruments.js';
import { LeaseMetrics } from './lease-metrics.js';

/** The metrics of each registry. Elections that use one registry share them, because a registry accepts each name once. */
const metricsOf = new WeakMap<Registry, LeaseMetrics>();

/**
 * For the `metrics` option of an election: records its metrics in a prom-client registry. docs/metrics.md lists them; those that
 * client-go has, too, have its names. Any number of elections may share a registry: their series differ in the labels `name` (of
 * the Lease) and `election`. Two applications in one process need two registries if both have an election of the same name on the
 * same Lease.
 *
 * ```ts
 * LeaderElectionModule.forRoot({ leaseName: 'billing', metrics: prometheusMetrics() })
 * ```
 *
 * Values that can be read at a scrape are not recorded between scrapes, and no timer runs.
 *
 * @param register default: prom-client's global registry. An election throws `LEADER_INVALID_OPTIONS` at start if the registry already has
 * a metric with one of these names.
 */
export function prometheusMetrics(register: Registry = defaultRegister): MetricsProvider {
  // Looked up for each election, so that a registry that was cleared, as in tests, gets its metrics again.
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

/** Checked before the first metric is created: half of the metrics in a registry would make the next attempt fail. */
function refuseTaken(register: Registry): void {
  const taken = Object.values(definitions)
    .filter((definition): definition is Metric => 'name' in definition)
    .filter(({ name }) => register.getSingleMetric(name) !== undefined)
    .map(({ name }) => name);
  if (taken.length === 0) return;
  throw new InvalidOptionsError([
    `metrics: the registry already has ${taken.join(', ')}: names must be unique, so give the election a registry of its own, ` +
      `prometheusMetrics(new Registry()), and expose both with Registry.merge()`,
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
