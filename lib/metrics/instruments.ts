import type { DistributionMetric, Metric } from './definitions.js';

/** The labels of a series, with their values. */
export type Labels = Readonly<Record<string, string>>;

/** A value of a gauge at the moment of asking. */
export interface Reading {
  readonly labels: Labels;
  readonly value: number;
}

/** What a metrics library must be able to do; each metric is announced once. */
export interface Instruments {
  /** @returns what adds to it; 0 makes a series known. */
  counter(metric: Metric): (labels: Labels, by: number) => void;
  /** A counter whose sums are kept elsewhere. @param read is asked for them whenever somebody looks. */
  tally(metric: Metric, read: () => Iterable<Reading>): void;
  /** @returns what takes down one value, in seconds. */
  distribution(metric: DistributionMetric): (labels: Labels, seconds: number) => void;
  /** @param read is asked whenever somebody looks. */
  gauge(metric: Metric, read: () => Iterable<Reading>): void;
}
