import type { RealApiServer } from '../test/rig/real-api-server.js';
import { Contest, now, type Blow, type CommandFor } from './contest.js';

/** One side of the comparison. */
export interface Side {
  readonly name: string;
  readonly commandFor: CommandFor;
  /** Something goes wrong with its followers just before each blow. Default: nothing. */
  readonly obstructsFollowers?: boolean;
}

/** What was measured on one side. */
export interface FailoverSeries {
  readonly side: string;
  /** From the signal to the next leader. */
  readonly fromSignal: readonly number[];
  /** From the expiry of the lease that the struck leader left to the next leader; empty for a hand-over. */
  readonly fromExpiry: readonly number[];
}

export interface FailoverPlan {
  readonly blow: Blow;
  readonly trials: number;
  /** Leases of each side, struck independently of each other. */
  readonly leases: number;
  readonly namespace: string;
}

/** Strikes leaders of every side, all sides and leases at the same time, on one API server. */
export async function measureFailover(
  server: RealApiServer,
  sides: readonly Side[],
  plan: FailoverPlan,
  onTrial: (side: string) => void,
): Promise<FailoverSeries[]> {
  return Promise.all(
    sides.map(async (side) => {
      const fromSignal: number[] = [];
      const fromExpiry: number[] = [];
      const strikeOne = async (contest: Contest): Promise<void> => {
        let expiresAt = Number.NaN;
        const { struckAt, nextLeadsAt } = await contest.strike(plan.blow, async () => {
          if (plan.blow === 'SIGKILL') expiresAt = await expiryOf(server, plan.namespace, contest.leaseName);
        });
        fromSignal.push(nextLeadsAt - struckAt);
        if (plan.blow === 'SIGKILL') fromExpiry.push(nextLeadsAt - expiresAt);
        onTrial(side.name);
      };
      await Promise.all(
        Array.from({ length: plan.leases }, async (_, index) => {
          const contest = new Contest(
            `${side.name.replaceAll(/[^a-z]+/g, '-')}-${plan.blow.toLowerCase()}-${String(index + 1)}`,
            side.commandFor,
            side.obstructsFollowers ?? false,
          );
          try {
            await contest.start();
            const share = Math.ceil((plan.trials - index) / plan.leases);
            for (let trial = 0; trial < share; trial += 1) await strikeOne(contest);
          } finally {
            await contest.end();
          }
        }),
      );
      return { side: side.name, fromSignal, fromExpiry };
    }),
  );
}

/** When a lease runs out, on the machine's monotonic clock: its last renewal, by a process of this machine, and its duration. */
async function expiryOf(server: RealApiServer, namespace: string, leaseName: string): Promise<number> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${leaseName}`;
  const { json } = await server.client.demand('GET', path);
  const { spec } = json as { spec: { renewTime: string; leaseDurationSeconds: number } };
  const renewedAt = Date.parse(spec.renewTime) - Date.now() + now();
  return renewedAt + spec.leaseDurationSeconds * 1000;
}
