/** The `metrics` option, checked: it may be anything in JavaScript. */
import { kindOf, type MetricsProvider } from '../../election/index.js';

/** What there is to say of a value that is none. */
export const METRICS_RULE =
  'it must be what prometheusMetrics() of nestjs-leader/metrics or openTelemetryMetrics() of nestjs-leader/opentelemetry ' +
  'gives, or another object with a function meter()';

/** Whether `value` makes meters. */
export function isMetricsProvider(value: unknown): value is MetricsProvider {
  try {
    return typeof (value as Partial<MetricsProvider> | null | undefined)?.meter === 'function';
  } catch {
    return false;
  }
}

/** Which rules the option breaks. */
export function metricsViolations(value: unknown): string[] {
  if (value === undefined || isMetricsProvider(value)) return [];
  // Not its contents: a registry, which it may well be, has many.
  return [`metrics is ${kindOf(value)}: ${METRICS_RULE}`];
}
