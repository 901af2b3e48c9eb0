/** What a run has measured, as its JSON has it. What was not measured in that run is not there. */
import type { FailoverSeries } from './failover.js';
import type { Machine } from './machine.js';
import type { ScaleFigures } from './scale.js';
import type { SpreadFigures } from './spread.js';

export interface Results {
  readonly machine: Machine;
  readonly failover?: readonly FailoverSeries[];
  readonly scale?: readonly ScaleFigures[];
  /** Nanoseconds. */
  readonly calls?: Readonly<Record<string, number>>;
  readonly spread?: readonly SpreadFigures[];
}
