/** The results of a run, as in its JSON. Measurements that were not made are absent. */
import type { DeathFigures } from './deaths.js';
import type { FailoverSeries } from './failover.js';
import type { FloorFigures } from './floor.js';
import type { Machine } from './machine.js';
import type { Partition } from './partition.js';
import type { ScaleFigures } from './scale.js';
import type { SpreadFigures } from './spread.js';
import type { StartFigures } from './start.js';
import type { SteadyFigures } from './steady.js';

export interface Results extends Figures {
  readonly machine: Machine;
}

export interface Figures {
  readonly floor?: FloorFigures;
  readonly failover?: readonly FailoverSeries[];
  readonly crashes?: DeathFigures;
  readonly start?: readonly StartFigures[];
  readonly steady?: readonly SteadyFigures[];
  readonly partition?: readonly Partition[];
  readonly scale?: readonly ScaleFigures[];
  /** Nanoseconds. */
  readonly calls?: Readonly<Record<string, number>>;
  readonly spread?: readonly SpreadFigures[];
}
