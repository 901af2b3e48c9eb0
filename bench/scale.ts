/**
 * Many elections in one process: the time until it leads them all, its costs while it leads, the costs of a second process
 * that follows, and, after SIGTERM to the first, the time until the second leads them all.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Contender, ContenderEvent } from '../test/rig/contender.js';
import type { Side } from './contenders.js';
import { socketsTo, usageOf } from './process-figures.js';
import type { Surroundings } from './surroundings.js';
import { now, toMs, until } from './until.js';

/** A figure is undefined if not all elections were led in time. */
export interface ScaleFigures {
  readonly side: string;
  readonly elections: number;
  /** How many were led at the end, or at the time-out. */
  readonly led: number;
  /** Milliseconds from the start of the process until it leads all. */
  readonly allLedAfterMs: number | undefined;
  readonly leading: ProcessFigures | undefined;
  readonly following: ProcessFigures | undefined;
  /** CPU of the API server and etcd together, in percent of one core, while those two processes run. */
  readonly serverCpuPercent: number | undefined;
  /** How long CPU time was measured, with all led and followed. */
  readonly heldSeconds: number;
  /** Terms that ended unexpectedly in that time. */
  readonly termsLost: number;
  /** Requests of both processes that timed out, from the start on. */
  readonly timeouts: number;
  /** Milliseconds from SIGTERM to the leading process until the second leads all. */
  readonly allLedAgainAfterMs: number | undefined;
  /** How many were led again at the end, or at the time-out. */
  readonly ledAgain: number;
}

export interface ProcessFigures {
  readonly sockets: number;
  readonly rssMb: number;
  readonly cpuPercent: number;
}

const PATIENCE_MS = 60_000;
/** The time before CPU is measured, so that the start is over. */
const SETTLE_MS = 3_000;

export async function measureScale(
  surroundings: Surroundings,
  side: Side,
  elections: number,
  holdSeconds: number,
): Promise<ScaleFigures> {
  const lease = `scale-${side.name.replaceAll(/[^a-z]+/g, '-')}-${String(elections)}`;
  const [credentials] = surroundings.credentials;
  const startedAt = now();
  const first = await side.start({ lease, identity: `${lease}-first`, credentials, elections });
  const contenders = [first];
  try {
    const allLedAt = await until(contenders, PATIENCE_MS, () => lastOf(first, 'started', elections));
    const base = { side: side.name, elections, heldSeconds: holdSeconds };
    if (allLedAt === undefined) {
      const never = { allLedAfterMs: undefined, allLedAgainAfterMs: undefined, ledAgain: 0, termsLost: 0 };
      const unknown = { leading: undefined, following: undefined, serverCpuPercent: undefined };
      const led = leasesOf(first, 'started').size;
      return { ...base, ...never, ...unknown, led, timeouts: timeoutsOf(contenders) };
    }
    const second = await side.start({ lease, identity: `${lease}-second`, credentials, elections });
    contenders.push(second);
    await until(contenders, PATIENCE_MS, () => lastOf(second, 'leader', elections));
    await pause(SETTLE_MS);
    const held = await hold(surroundings, first, second, holdSeconds);
    const struckAt = now();
    first.signal('SIGTERM');
    const allLedAgainAt = await until(contenders, PATIENCE_MS, () => lastOf(second, 'started', elections));
    return {
      ...base,
      ...held,
      led: elections,
      allLedAfterMs: allLedAt - startedAt,
      timeouts: timeoutsOf(contenders),
      allLedAgainAfterMs: allLedAgainAt && allLedAgainAt - struckAt,
      ledAgain: leasesOf(second, 'started').size,
    };
  } finally {
    await Promise.all(contenders.map((contender) => contender.kill()));
  }
}

async function hold(
  { server }: Surroundings,
  first: Contender,
  second: Contender,
  seconds: number,
): Promise<Pick<ScaleFigures, 'leading' | 'following' | 'serverCpuPercent' | 'termsLost'>> {
  const port = Number(new URL(server.url).port);
  const usages = await Promise.all([first.pid, second.pid, server.pid, server.etcdPid].map(usageOf));
  const lostBefore = countOf(first, 'stopped');
  await pause(seconds * 1000);
  const [leading, following, apiServer, etcd] = await Promise.all(usages.map((usage) => usage()));
  if (!leading || !following || !apiServer || !etcd) throw new Error('A process is missing.');
  return {
    leading: { ...leading, sockets: await socketsTo(first.pid, port) },
    following: { ...following, sockets: await socketsTo(second.pid, port) },
    serverCpuPercent: apiServer.cpuPercent + etcd.cpuPercent,
    termsLost: countOf(first, 'stopped') - lostBefore,
  };
}

function leasesOf({ events }: Contender, event: ContenderEvent['event']): Set<string> {
  return new Set(events.filter((said) => said.event === event).map(({ lease }) => lease));
}

/** When the contender had reported `event` for this many leases. */
function lastOf(contender: Contender, event: ContenderEvent['event'], leases: number): number | undefined {
  if (countOf(contender, event) < leases || leasesOf(contender, event).size < leases) return undefined;
  const last = contender.events.findLast((said) => said.event === event);
  return last && toMs(last.monotonicNs);
}

function countOf({ events }: Contender, event: ContenderEvent['event']): number {
  return events.filter((said) => said.event === event).length;
}

function timeoutsOf(contenders: readonly Contender[]): number {
  return contenders.reduce((sum, contender) => sum + countOf(contender, 'timeout'), 0);
}
