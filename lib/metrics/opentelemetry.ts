/** `nestjs-leader/opentelemetry`: the figures of elections for OpenTelemetry. */
import {
  SpanStatusCode,
  context,
  metrics as globalMetrics,
  trace as globalTrace,
  type Attributes,
  type Meter,
  type MeterProvider,
  type Observable,
  type Span,
  type SpanContext,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import {
  isLoss,
  type CallTrace,
  type ElectionTracer,
  type LeadershipTerm,
  type MetricsProvider,
  type TracesProvider,
} from '../election/internal.js';
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

/**
 * For the `traces` option of an election: records a span for each of its terms, and one for each call of a gated method that runs, with
 * the OpenTelemetry tracer `nestjs-leader`. The span of a call is a child of the active one, such as that of a request, and links to
 * that of its term; docs/metrics.md lists their attributes.
 *
 * ```ts
 * LeaderElectionModule.forRoot({ leaseName: 'billing', traces: openTelemetryTraces() })
 * ```
 *
 * @param provider default: the global provider. Without a provider nothing is recorded.
 */
export function openTelemetryTraces(provider?: TracerProvider): TracesProvider {
  return {
    tracer: ({ election }) => new SpanTracer((provider ?? globalTrace).getTracer(SCOPE), election),
  };
}

class SpanTracer implements ElectionTracer {
  readonly #tracer: Tracer;
  readonly #election: string;
  readonly #terms = new WeakMap<LeadershipTerm, SpanContext>();

  constructor(tracer: Tracer, election: string) {
    this.#tracer = tracer;
    this.#election = election;
  }

  term(term: LeadershipTerm): ReturnType<ElectionTracer['term']> {
    const { identity, slot } = term;
    const span = this.#tracer.startSpan(TERM, {
      // A term may begin in whatever code runs, and outlives it.
      root: true,
      attributes: {
        ...this.#attributes(term),
        'leader_election.identity': identity,
        'leader_election.slot': slot,
      },
    });
    this.#terms.set(term, span.spanContext());
    return (reason) => {
      span.setAttribute('leader_election.end_reason', reason);
      if (isLoss(reason)) span.setStatus({ code: SpanStatusCode.ERROR, message: reason });
      span.end();
    };
  }

  call(name: string, term: LeadershipTerm): CallTrace {
    const ofTerm = this.#terms.get(term);
    const span = this.#tracer.startSpan(name, {
      attributes: this.#attributes(term),
      links: ofTerm === undefined ? [] : [{ context: ofTerm }],
    });
    const inSpan = globalTrace.setSpan(context.active(), span);
    let isEnded = false;
    return {
      run: (work) => context.with(inSpan, work),
      end: (failure) => {
        if (isEnded) return;
        isEnded = true;
        if (failure !== undefined) noteError(span, failure.error);
        span.end();
      },
    };
  }

  #attributes({ leaseName, fencingToken }: LeadershipTerm): Attributes {
    return {
      'leader_election.name': leaseName,
      'leader_election.election': this.#election,
      'leader_election.fencing_token': fencingToken.toString(),
    };
  }
}

/** The name of the span of a term. */
const TERM = 'leader_election.term';

function noteError(span: Span, error: unknown): void {
  const exception = error instanceof Error ? error : String(error);
  span.recordException(exception);
  span.setStatus({
    code: SpanStatusCode.ERROR,
    message: typeof exception === 'string' ? exception : exception.message,
  });
}
