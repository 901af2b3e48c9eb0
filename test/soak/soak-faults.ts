/** The faults of a soak: each strikes one replica, or the API server, and passes. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Chance } from '../../lib/testing/chance.js';
import type { ReplicaFleet } from '../processes/replica-fleet.js';
import type { ReplicaProcess } from '../processes/replica-process.js';
import type { RealApiServer } from '../rig/real-api-server.js';

/** The environment of a fault. */
export interface SoakScene {
  readonly fleet: ReplicaFleet;
  readonly server: RealApiServer;
  readonly chance: Chance;
  /** The longest duration of a fault, in milliseconds. */
  readonly longestMs: number;
}

type Fault = (victim: ReplicaProcess, scene: SoakScene, forMs: number) => Promise<void>;

const onPath =
  (strike: (victim: ReplicaProcess) => void): Fault =>
  async (victim, _, forMs) => {
    strike(victim);
    await pause(forMs);
    victim.proxy.heal();
  };

const restart =
  (signal: NodeJS.Signals): Fault =>
  async (victim, { fleet }) => {
    victim.signal(signal);
    await victim.exited;
    await fleet.join();
  };

/** Faults that a replica survives. */
const survivable: Readonly<Record<string, Fault>> = {
  cut: onPath(({ proxy }) => {
    proxy.cut();
  }),
  stalled: onPath(({ proxy }) => {
    proxy.stall();
  }),
  repliesSwallowed: onPath(({ proxy }) => {
    proxy.stall('replies');
  }),
  requestsHeld: onPath(({ proxy }) => {
    proxy.stall('requests');
  }),
  halfOpen: onPath(({ proxy }) => {
    proxy.halfOpen();
  }),
  delayed: onPath(({ proxy }) => {
    proxy.delay(300);
  }),
  stopped: async (victim, _, forMs) => {
    victim.signal('SIGSTOP');
    await pause(forMs);
    victim.signal('SIGCONT');
  },
  blocked: async (victim, _, forMs) => {
    victim.order({ do: 'block', ms: forMs, looking: false });
    await pause(forMs);
  },
  serverFrozen: async (_, { server }, forMs) => {
    server.freeze();
    await pause(forMs);
    server.thaw();
  },
};

/** Faults after which another replica replaces the one that was struck. */
const fatal: Readonly<Record<string, Fault>> = {
  terminated: restart('SIGTERM'),
  killed: restart('SIGKILL'),
};

/** Strikes once, and resolves with the name of the fault when it has passed. */
export async function strike(scene: SoakScene, subject: ReplicaProcess): Promise<string> {
  const { chance, fleet } = scene;
  const victim = chance.oneOf(fleet.replicas.filter(({ isRunning }) => isRunning));
  const faults = Object.entries(victim === subject ? survivable : { ...survivable, ...fatal });
  const [name, fault] = chance.oneOf(faults);
  await fault(victim, scene, chance.between(50, scene.longestMs));
  return name;
}
