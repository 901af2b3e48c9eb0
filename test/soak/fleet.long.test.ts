/** Three replicas under random faults, for as long as SOAK_MINUTES says. `npm run soak` runs this file alone. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Chance } from '../../lib/testing/chance.js';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { BRISK, type ReplicaFleet } from '../processes/replica-fleet.js';
import type { ReplicaProcess } from '../processes/replica-process.js';
import { machineNow } from '../processes/replica/messages.js';
import type { RealApiServer } from '../rig/real-api-server.js';
import { Growth, sampleOf, type Sample } from './growth.js';
import { strike } from './soak-faults.js';

const minutes = Number(process.env['SOAK_MINUTES'] ?? '2');
const seed = Number(process.env['SOAK_SEED'] ?? '1');
const MINUTE_MS = 60_000;
/** Time until code is compiled and caches are full. */
const warmUpMs = Math.min(minutes / 6, 2) * MINUTE_MS;
/** Between two looks at what the survivor holds: often enough that each sixth of a run has some. */
const lookEveryMs = Math.min((minutes * MINUTE_MS) / 36, MINUTE_MS / 2);
/** Long enough that a fault sometimes lasts longer than the lease. */
const LONGEST_FAULT_MS = 1.5 * BRISK.leaseDuration;

onRealApiServer('a fleet under random faults', {}, (stage) => {
  it(`is sound, and its survivor holds no more after ${String(minutes)} minutes (seed ${String(seed)})`, async () => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });
    const subject = fleet.replicas[0] as ReplicaProcess;
    const run = new Run(fleet, stage.server, subject);
    await run.faultsFor(warmUpMs);
    console.log(`${run.summary}: warmed up`);
    const growth = new Growth();
    await run.faultsFor(minutes * MINUTE_MS, growth);
    console.log(`${growth.table(minutes / 60)}\n${run.summary}: ${run.faults}`);
    expect(growth.violations).toEqual([]);
    await fleet.expectSound();
    console.log(
      'never two leaders, no job outside a term, increasing tokens, linearizable histories, nothing grows',
    );
  });
});

class Run {
  readonly #fleet: ReplicaFleet;
  readonly #server: RealApiServer;
  /** The replica that is never restarted. */
  readonly #subject: ReplicaProcess;
  readonly #chance = new Chance(seed);
  readonly #struck = new Map<string, number>();
  readonly #startedAt = machineNow();

  constructor(fleet: ReplicaFleet, server: RealApiServer, subject: ReplicaProcess) {
    this.#fleet = fleet;
    this.#server = server;
    this.#subject = subject;
  }

  async faultsFor(ms: number, growth?: Growth): Promise<void> {
    const scene = {
      fleet: this.#fleet,
      server: this.#server,
      chance: this.#chance,
      longestMs: LONGEST_FAULT_MS,
    };
    const until = machineNow() + ms;
    let lookAt = machineNow();
    while (machineNow() < until) {
      const kind = await strike(scene, this.#subject);
      this.#struck.set(kind, (this.#struck.get(kind) ?? 0) + 1);
      await pause(this.#chance.skewed(BRISK.leaseDuration));
      if (growth === undefined || machineNow() < lookAt) continue;
      lookAt += lookEveryMs;
      const sample = await sampleOf(this.#fleet, this.#subject);
      growth.add(sample);
      console.log(`${this.summary}: ${shown(sample)}`);
    }
  }

  get summary(): string {
    const faults = [...this.#struck.values()].reduce((sum, more) => sum + more, 0);
    const terms = this.#fleet.claims.filter(({ replica }) => replica === this.#subject.identity).length;
    const elapsed = (machineNow() - this.#startedAt) / MINUTE_MS;
    return (
      `${elapsed.toFixed(1)} minutes, ${String(faults)} faults, ${String(this.#fleet.claims.length)} terms, ` +
      `${String(terms)} of the survivor`
    );
  }

  get faults(): string {
    return [...this.#struck].map(([kind, count]) => `${kind} ${String(count)}`).join(', ');
  }
}

function shown(sample: Sample): string {
  return Object.entries(sample)
    .map(([kind, value]) => `${kind} ${String(Math.round(Number(value) * 10) / 10)}`)
    .join(', ');
}
