/** Three replicas under random faults, for as long as SOAK_MINUTES says. Started by scripts/soak.mjs. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Chance } from '../../lib/testing/chance.js';
import { BRISK, ReplicaFleet } from '../processes/replica-fleet.js';
import type { ReplicaProcess } from '../processes/replica-process.js';
import { machineNow, type Measured } from '../processes/replica/messages.js';
import { RealApiServer } from '../rig/real-api-server.js';
import { strike } from './soak-faults.js';

const minutes = Number(process.env['SOAK_MINUTES'] ?? '10');
const seed = Number(process.env['SOAK_SEED'] ?? '1');
const MINUTE_MS = 60_000;
/** Time until code is compiled and caches are full: a tenth of the total, at most two minutes. */
const warmUpMs = Math.min(minutes / 10, 2) * MINUTE_MS;
/** Long enough that a fault sometimes lasts longer than the lease. */
const LONGEST_FAULT_MS = 1.5 * BRISK.leaseDuration;
/** The growth of a heap that is allowed without a leak: compiled code, and memory that is not collected yet. */
const HEAP_TOLERANCE_MIB = 4;
/** A connection may be open, or a timer set, at one measurement and not at the other. */
const RESOURCES_TOLERANCE = 2;

it(`lives through ${String(minutes)} minutes of faults, seed ${String(seed)}`, async () => {
  const server = await RealApiServer.start();
  const fleet = new ReplicaFleet({ server, election: { ...BRISK, leaseName: 'soak' } });
  try {
    await fleet.grow(3);
    const subject = fleet.replicas[0] as ReplicaProcess;
    const struck = new Map<string, number>();
    await faultsFor(warmUpMs, { fleet, server, subject, struck });
    const before = await measure(fleet, subject);
    say(`after a warm-up of ${(warmUpMs / 1000).toFixed(0)} s`, before);
    await faultsFor(minutes * MINUTE_MS, { fleet, server, subject, struck });
    const after = await measure(fleet, subject);
    say('at the end', after);
    console.log(`faults: ${[...struck].map(([kind, count]) => `${kind} ${String(count)}`).join(', ')}`);
    expect(after.heap - before.heap, 'MiB by which the heap has grown').toBeLessThan(HEAP_TOLERANCE_MIB);
    expect(count(after) - count(before), 'more handles than before').toBeLessThanOrEqual(RESOURCES_TOLERANCE);
    await fleet.expectSound();
    console.log(
      'never two leaders, no job outside a term, increasing tokens, no growth of memory and handles',
    );
  } finally {
    await fleet.kill();
    await server.stop();
  }
});

interface Course {
  readonly fleet: ReplicaFleet;
  readonly server: RealApiServer;
  /** The replica that is never restarted. */
  readonly subject: ReplicaProcess;
  readonly struck: Map<string, number>;
}

const chance = new Chance(seed);

async function faultsFor(ms: number, { fleet, server, subject, struck }: Course): Promise<void> {
  const until = machineNow() + ms;
  let sayAt = machineNow() + MINUTE_MS;
  while (machineNow() < until) {
    const kind = await strike({ fleet, server, chance, longestMs: LONGEST_FAULT_MS }, subject);
    struck.set(kind, (struck.get(kind) ?? 0) + 1);
    await pause(chance.skewed(BRISK.leaseDuration));
    if (machineNow() < sayAt) continue;
    sayAt += MINUTE_MS;
    say(
      `${String([...struck.values()].reduce((sum, more) => sum + more, 0))} faults`,
      await measure(fleet, subject),
    );
  }
}

/** Resolves when one replica leads and all know it. */
async function measure(fleet: ReplicaFleet, subject: ReplicaProcess): Promise<Measured> {
  await fleet.settled();
  const since = machineNow();
  subject.order({ do: 'measure' });
  return await subject.told('measured', ({ at }) => at >= since);
}

function say(when: string, { heap, rss, resources }: Measured): void {
  const held = Object.entries(resources).map(([kind, number]) => `${kind} ${String(number)}`);
  console.log(`${when}: heap ${heap.toFixed(1)} MiB, rss ${rss.toFixed(0)} MiB, ${held.join(', ')}`);
}

function count({ resources }: Measured): number {
  return Object.values(resources).reduce((sum, number) => sum + number, 0);
}
