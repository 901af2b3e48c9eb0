/** The costs of a leader and a follower while nothing happens, compared with a Nest application without an election. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Contender } from '../test/rig/contender.js';
import type { Contest } from './contest.js';
import type { Side } from './contenders.js';
import { usageOf } from './process-figures.js';
import type { Surroundings } from './surroundings.js';
import { demand, saidAt } from './until.js';

/** The costs of one side in one role, the mean of its processes. */
export interface SteadyFigures {
  readonly side: string;
  /** `none`: an application without an election. */
  readonly role: 'leader' | 'follower' | 'none';
  readonly processes: number;
  readonly cpuSecondsAnHour: number;
  readonly rssMb: number;
  /** Requests in the audit log by verb. A watch counts when it is opened. */
  readonly requestsAMinute: Readonly<Record<string, number>>;
}

/** One process, with the lease and user of its requests. */
interface Watched {
  readonly side: string;
  readonly role: SteadyFigures['role'];
  readonly contender: Contender;
  readonly user: string;
  readonly lease: string;
}

const BARE_APPLICATIONS = 4;
const STARTS_WITHIN_MS = 60_000;
/** The time before measuring, so that compilation and garbage collection after the start are over. */
const SETTLE_MS = 15_000;
/** The time until the audit log is written. */
const LOG_WRITTEN_MS = 2_000;

/** @param contests whose places are all filled. */
export async function measureSteady(
  { server, credentials: [credentials] }: Surroundings,
  contests: readonly Contest[],
  bare: Side,
  seconds: number,
): Promise<SteadyFigures[]> {
  const applications = await Promise.all(
    Array.from({ length: BARE_APPLICATIONS }, (_, index) =>
      bare.start({ lease: '', identity: `bare-${String(index)}`, credentials }),
    ),
  );
  try {
    for (const application of applications)
      await demand('a bare application', [application], STARTS_WITHIN_MS, () => saidAt(application, 'ready'));
    await pause(SETTLE_MS);
    const watched = [
      ...applications.map((contender): Watched => ({
        side: bare.name,
        role: 'none',
        contender,
        user: '',
        lease: '',
      })),
      ...contests.flatMap(({ side: { name: side }, lease, rivals: { leader, follower } }): Watched[] => [
        { side, role: 'leader', lease, ...leader },
        { side, role: 'follower', lease, ...follower },
      ]),
    ];
    const from = Date.now();
    const usages = await Promise.all(watched.map(({ contender }) => usageOf(contender.pid)));
    await pause(seconds * 1000);
    const used = await Promise.all(usages.map((usage) => usage()));
    const minutes = (Date.now() - from) / 60_000;
    await pause(LOG_WRITTEN_MS);
    const requests = requestsIn(await readFile(server.auditLogPath, 'utf8'), from, from + minutes * 60_000);
    const costs = watched.map((one, index) => ({
      ...one,
      ...used[index],
      requests: requests.get(keyOf(one)) ?? [],
    }));
    const kinds = new Map(costs.map(({ side, role }) => [`${side} ${role}`, { side, role }]));
    return [...kinds.values()].map(({ side, role }) => {
      const group = costs.filter((one) => one.side === side && one.role === role);
      const mean = (of: (one: (typeof group)[number]) => number): number =>
        group.reduce((sum, one) => sum + of(one), 0) / group.length;
      const verbs = [...new Set(group.flatMap((one) => one.requests))].sort();
      return {
        side,
        role,
        processes: group.length,
        cpuSecondsAnHour: mean(({ cpuPercent = Number.NaN }) => cpuPercent * 36),
        rssMb: mean(({ rssMb = Number.NaN }) => rssMb),
        requestsAMinute: Object.fromEntries(
          verbs.map((verb) => [
            verb,
            mean((one) => one.requests.filter((made) => made === verb).length) / minutes,
          ]),
        ),
      };
    });
  } finally {
    await Promise.all(applications.map((application) => application.kill()));
  }
}

interface AuditEvent {
  readonly stage: string;
  readonly verb: string;
  readonly requestReceivedTimestamp: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly name?: string };
}

/** The verbs of the requests that arrived in an interval, by `<lease> <user>`. */
export function requestsIn(auditLog: string, from: number, to: number): Map<string, string[]> {
  const requests = new Map<string, string[]>();
  // The last line may be incomplete.
  for (const line of auditLog.split('\n').slice(0, -1)) {
    if (!line.includes('"RequestReceived"')) continue;
    const event = JSON.parse(line) as AuditEvent;
    const at = Date.parse(event.requestReceivedTimestamp);
    if (at < from || at > to) continue;
    // A watch or list of one Lease names it in its selector.
    const selected = /metadata\.name(?:=|%3D)([a-z0-9-]+)/i.exec(event.requestURI)?.[1];
    const key = keyOf({ lease: event.objectRef?.name ?? selected ?? '', user: event.user.username });
    requests.set(key, [...(requests.get(key) ?? []), event.verb]);
  }
  return requests;
}

function keyOf({ lease, user }: { readonly lease: string; readonly user: string }): string {
  return `${lease} ${user}`;
}
