import { kindOf, type MetricsProvider } from '../../election/index.js';

/** The rule for the option. */
export const METRICS_RULE =
  'it must be what prometheusMetrics() of nestjs-leader/metrics or openTelemetryMetrics() of nestjs-leader/opentelemetry ' +
  'gives, or another object with a function meter()';

/** Whether `value` provides meters. */
export function isMetricsProvider(value: unknown): value is MetricsProvider {
  try {
    return typeof (value as Partial<MetricsProvider> | null | undefined)?.meter === 'function';
  } catch {
    return false;
  }
}

/** The rules that the option `metrics` breaks. */
export function metricsViolations(value: unknown): string[] {
  if (value === undefined || isMetricsProvider(value)) return [];
  // The value itself is not shown: it may be a registry, which is large.
  return [`metrics is ${kindOf(value)}: ${METRICS_RULE}`];
}
