/** `nestjs-leader/opentelemetry`: the figures of elections for OpenTelemetry. */
import {
  metrics as globalMetrics,
  type Meter,
  type MeterProvider,
  type Observable,
} from '@opentelemetry/api';
import type { MetricsProvider } from '../election/internal.js';
import type { Metric } from './definitions.js';
import type { Instruments, Reading } from './instruments.js';
import { LeaseMetrics } from './lease-metrics.js';

const SCOPE = 'nestjs-leader';

/** The instruments of each meter. Elections that use one meter share them. */
const metricsOf = new WeakMap<Meter, LeaseMetrics>();

/**
 * For the `metrics` option of an election: records its metrics with the OpenTelemetry meter `nestjs-leader`. A Prometheus
 * exporter shows them with the same names as `prometheusMetrics()` of `nestjs-leader/metrics`; docs/metrics.md lists both.
 *
 * ```ts
 * LeaderElectionModule.forRoot({ leaseName: 'billing', metrics: openTelemetryMetrics() })
 * ```
 *
 * @param provider default: the global provider at the time when the election is created. Without a provider nothing is measured.
 */
export function openTelemetryMetrics(provider?: MeterProvider): MetricsProvider {
  // Looked up when an election is created, so that an SDK that starts after this module was loaded is found.
  return {
    meter: (lease) => metricsIn((provider ?? globalMetrics).getMeter(SCOPE)).meter(lease),
  };
}

function metricsIn(meter: Meter): LeaseMetrics {
  const known = metricsOf.get(meter);
  if (known !== undefined) return known;
  const made = new LeaseMetrics(instrumentsIn(meter));
  metricsOf.set(meter, made);
  return made;
}

function instrumentsIn(meter: Meter): Instruments {
  return {
    counter: (metric) => {
      const counter = meter.createCounter(nameOf(metric), { description: metric.help });
      return (labels, by) => {
        counter.add(by, labels);
      };
    },
    tally: (metric, read) => {
      const counter = meter.createObservableCounter(nameOf(metric), { description: metric.help });
      observe(counter, read);
    },
    distribution: (metric) => {
      const histogram = meter.createHistogram(nameOf(metric), {
        description: metric.help,
        unit: 's',
        advice: { explicitBucketBoundaries: [...metric.buckets] },
      });
      return (labels, seconds) => {
        histogram.record(seconds, labels);
      };
    },
    gauge: (metric, read) => {
      const isDuration = metric.name.endsWith(SECONDS);
      const gauge = meter.createObservableGauge(nameOf(metric), {
        description: metric.help,
        ...(isDuration && { unit: 's' }),
      });
      observe(gauge, read);
    },
  };
}

function observe(instrument: Observable, read: () => Iterable<Reading>): void {
  instrument.addCallback((result) => {
    for (const { labels, value } of read()) result.observe(value, labels);
  });
}

const SECONDS = '_seconds';

/** The name with a namespace instead of a prefix, and without the unit and `_total`, which a Prometheus exporter adds. */
function nameOf({ name }: Metric): string {
  return name.replace('leader_election_', 'leader_election.').replace(/_(seconds|total)$/, '');
}
