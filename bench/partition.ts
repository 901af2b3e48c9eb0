/**
 * Only the leader's path to the API server stalls: nothing gets through, and no connection is closed. When is the leader's work
 * told to stop, and when does the next lead? Two lead at the same time in between, if the first is told too late.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { FaultProxy } from '../test/rig/fault-proxy.js';
import type { Side } from './contenders.js';
import { expiryOf } from './expiry.js';
import { through, type Surroundings } from './surroundings.js';
import { demand, now, saidAt, until } from './until.js';

/** One trial, in milliseconds from the expiry of the lease; null if it did not happen in time. */
export interface Partition {
  readonly side: string;
  readonly told: number | null;
  readonly nextLeads: number | null;
}

const STARTS_WITHIN_MS = 60_000;
const FOLLOWS_WITHIN_MS = 10_000;
const SETTLE_MS = 5_000;
/** From the beginning of the stall. */
const PATIENCE_MS = 40_000;

/** All trials at the same time: the processes wait most of the time. */
export async function measurePartition(
  surroundings: Surroundings,
  sidesOf: (surroundings: Surroundings) => readonly Side[],
  trials: number,
): Promise<Partition[]> {
  const names = sidesOf(surroundings).map(({ name }) => name);
  const all = Array.from({ length: trials }, (_, trial) =>
    names.map((_name, place) =>
      partition(surroundings, sidesOf, place, `partition-${String(place)}-${String(trial)}`),
    ),
  );
  return Promise.all(all.flat());
}

async function partition(
  surroundings: Surroundings,
  sidesOf: (surroundings: Surroundings) => readonly Side[],
  place: number,
  lease: string,
): Promise<Partition> {
  const proxy = await FaultProxy.start(surroundings.url);
  const behind = await through(surroundings, proxy.url);
  const [near, far] = [sidesOf(behind)[place], sidesOf(surroundings)[place]];
  if (near === undefined || far === undefined) throw new Error('A side is missing.');
  const start = (side: Side, { credentials: [credentials] }: Surroundings, name: string) =>
    side.start({ lease, identity: `${lease}-${name}`, credentials });
  const leader = await start(near, behind, 'leader');
  const contenders = [leader];
  try {
    await demand(`${lease} to be led`, contenders, STARTS_WITHIN_MS, () => saidAt(leader, 'started'));
    const follower = await start(far, surroundings, 'follower');
    contenders.push(follower);
    await until([follower], FOLLOWS_WITHIN_MS, () => saidAt(follower, 'leader'));
    await pause(SETTLE_MS);
    const stalledAt = now();
    proxy.stall();
    const expiresAt = await expiryOf(surroundings, lease);
    const toldAt = (): number | undefined => saidAt(leader, 'stopped', stalledAt);
    const nextLeadsAt = (): number | undefined => saidAt(follower, 'started', stalledAt);
    await until(contenders, PATIENCE_MS, () => toldAt() && nextLeadsAt());
    const fromExpiry = (at: number | undefined): number | null => (at === undefined ? null : at - expiresAt);
    return { side: near.name, told: fromExpiry(toldAt()), nextLeads: fromExpiry(nextLeadsAt()) };
  } finally {
    await Promise.all(contenders.map((contender) => contender.kill()));
    await proxy.stop();
  }
}
