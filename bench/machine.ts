/** Where and when a run was made: figures of different runs are not to be compared. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import type { Progress } from './progress.js';

export interface Machine {
  /** Of the begin, in UTC. */
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  /** The version of the API server, as `/version` tells it. */
  readonly apiServer: string;
  /** The load average of the minute before the run. */
  readonly loadBefore: number;
}

/** More than that is other work, which the figures suffer from. */
const QUIET_LOAD = 1;

export function loadNow(progress: Progress): number {
  const [load = 0] = loadavg();
  progress.tell(
    `load average ${load.toFixed(2)}${
      load > QUIET_LOAD
        ? ': this machine is busy, and the figures will be worse than on a quiet one'
        : ', quiet enough'
    }`,
  );
  return load;
}

export function machineWith(apiServer: string, loadBefore: number): Machine {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    apiServer,
    loadBefore,
  };
}
