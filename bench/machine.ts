/** The machine and time of a run. Figures of different runs cannot be compared. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RIG } from '../test/rig/rig-cache.js';
import type { Surroundings } from './surroundings.js';

export interface Machine {
  /** When the run began, in UTC. */
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly apiServer: string;
  readonly clientGo: string;
  /** The load average of the minute before the run. */
  readonly loadBefore: number;
}

/** A higher load average means that other work makes the figures worse. */
export const QUIET_LOAD = 1;

export async function machineOf({ server }: Surroundings): Promise<Machine> {
  const { json } = await server.client.demand('GET', '/version');
  const goModule = readFileSync(join(RIG, 'contender', 'go.mod'), 'utf8');
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
    apiServer: (json as { gitVersion: string }).gitVersion,
    clientGo: /k8s\.io\/client-go (v\S+)/.exec(goModule)?.[1] ?? 'unknown',
    loadBefore: loadavg()[0] ?? 0,
  };
}
