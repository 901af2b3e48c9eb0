/** What goes wrong during a soak: each fault strikes one replica, or the API server, and passes. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Chance } from '../../lib/testing/chance.js';
import type { ReplicaFleet } from '../processes/replica-fleet.js';
import type { ReplicaProcess } from '../processes/replica-process.js';
import type { RealApiServer } from '../rig/real-api-server.js';

/** What a fault works on. */
export interface SoakScene {
  readonly fleet: ReplicaFleet;
  readonly server: RealApiServer;
  readonly chance: Chance;
  /** How long faults last at most, in milliseconds. */
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

/** That a replica outlives. */
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

/** After which another takes the replica's place. */
const fatal: Readonly<Record<string, Fault>> = {
  terminated: restart('SIGTERM'),
  killed: restart('SIGKILL'),
};

/** Strikes once; resolves with the fault's name when it has passed. */
export async function strike(scene: SoakScene, subject: ReplicaProcess): Promise<string> {
  const { chance, fleet } = scene;
  const victim = chance.oneOf(fleet.replicas.filter(({ isRunning }) => isRunning));
  const faults = Object.entries(victim === subject ? survivable : { ...survivable, ...fatal });
  const [name, fault] = chance.oneOf(faults);
  await fault(victim, scene, chance.between(50, scene.longestMs));
  return name;
}
