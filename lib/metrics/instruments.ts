import type { DistributionMetric, Metric } from './definitions.js';

/** The labels of a series and their values. */
export type Labels = Readonly<Record<string, string>>;

/** A value that is read when metrics are collected. */
export interface Reading {
  readonly labels: Labels;
  readonly value: number;
}

/** What a metrics library must provide. Each metric is created once. */
export interface Instruments {
  /** @returns a function that adds to the counter. Adding 0 creates the series. */
  counter(metric: Metric): (labels: Labels, by: number) => void;
  /** A counter whose values are kept elsewhere. @param read called for them at each collection. */
  tally(metric: Metric, read: () => Iterable<Reading>): void;
  /** @returns a function that records one value, in seconds. */
  distribution(metric: DistributionMetric): (labels: Labels, seconds: number) => void;
  /** @param read called at each collection. */
  gauge(metric: Metric, read: () => Iterable<Reading>): void;
}
