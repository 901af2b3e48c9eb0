import { setTimeout as pause } from 'node:timers/promises';
import type { Fleet } from './fleet.js';
import { LEASE_DURATION_MS } from './fleet.js';
import { machineNow, until } from './machine-clock.js';

/** One row of the closing table. */
export interface ScriptStep {
  readonly what: string;
  readonly from: string;
  readonly to: string;
  readonly token: string;
  /** Milliseconds from the action to the next term. */
  readonly tookMs: number;
  /** The expected time, in words. */
  readonly expected: string;
}

/** Long enough for the cron job to run in each term: it runs every second. */
const BETWEEN_STEPS_MS = 2_500;

/** Start, SIGTERM the leader, restart it, SIGKILL the leader, restart it, freeze the leader past its lease, thaw it. */
export async function runFailoverScript(fleet: Fleet): Promise<ScriptStep[]> {
  const steps: ScriptStep[] = [];
  const startedAt = machineNow();
  const replicas = fleet.startAll();
  const first = await fleet.untilNextLeader(undefined, startedAt);
  await Promise.all(replicas.map((replica) => fleet.untilReady(replica)));
  steps.push({
    what: 'start of three',
    from: '',
    to: first.replica,
    token: String(first.token),
    tookMs: first.from - startedAt,
    expected: 'process start',
  });

  steps.push(
    await failover(fleet, 'SIGTERM', 'milliseconds', async (place) => {
      await fleet.act('stop', place);
      await fleet.untilReady(fleet.start(place));
    }),
    await failover(
      fleet,
      'SIGKILL',
      `what was left of the lease, at most ${String(LEASE_DURATION_MS / 1000)} s`,
      async (place) => {
        await fleet.act('kill', place);
        await fleet.untilReady(fleet.start(place));
      },
    ),
    await failover(
      fleet,
      'SIGSTOP',
      `what was left of the lease, at most ${String(LEASE_DURATION_MS / 1000)} s`,
      async (place) => {
        await fleet.act('freeze', place);
        await pause(1.5 * LEASE_DURATION_MS);
        await fleet.act('thaw', place);
      },
    ),
  );
  await pause(BETWEEN_STEPS_MS);
  return steps;
}

async function failover(
  fleet: Fleet,
  signal: string,
  expected: string,
  deed: (place: number) => Promise<void>,
): Promise<ScriptStep> {
  await pause(BETWEEN_STEPS_MS);
  const { replica } = await until('a leader', 30_000, () => fleet.leader);
  const at = machineNow();
  const done = deed(fleet.replicas.indexOf(replica));
  const next = await fleet.untilNextLeader(replica, at);
  await done;
  return {
    what: `${signal} to the leader`,
    from: replica.identity,
    to: next.replica,
    token: String(next.token),
    tookMs: next.from - at,
    expected,
  };
}
