/** The `metrics` option, checked: it may be anything in JavaScript. */
import type { MetricsProvider } from '../../election/index.js';

/** What there is to say of a value that is none. */
export const METRICS_RULE =
  'it must be what prometheusMetrics() of nestjs-leader/metrics or openTelemetryMetrics() of nestjs-leader/opentelemetry ' +
  'gives, or another object with a function meter()';

/** Whether `value` makes meters. */
export function isMetricsProvider(value: unknown): value is MetricsProvider {
  return typeof (value as Partial<MetricsProvider> | null | undefined)?.meter === 'function';
}

/** Which rules the option breaks. */
export function metricsViolations(value: unknown): string[] {
  if (value === undefined || isMetricsProvider(value)) return [];
  // Not its contents: a registry, which it may well be, has many.
  const seen = typeof value === 'object' && value !== null ? `a ${value.constructor.name}` : typeof value;
  return [`metrics is ${value === null ? 'null' : seen}: ${METRICS_RULE}`];
}
