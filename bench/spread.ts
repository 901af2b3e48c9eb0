/**
 * How evenly three replicas lead thirty elections, and the cost of that: replicas with `spread` compared with replicas
 * without it, like client-go's. The second and the third replica start when the first leads everything.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RealApiServer } from '../test/rig/real-api-server.js';
import { summarise, type Summary } from './summary.js';

const ELECTIONS = 30;
const REPLICAS = 3;
/** After so long without a move the distribution is final. */
const QUIET_MS = 5_000;

/** The result of one fleet. */
export interface SpreadFigures {
  readonly fleet: 'shared' | 'alone';
  /** How many elections each replica leads, in descending order. */
  readonly loads: readonly number[];
  /** Terms that were handed over. */
  readonly moves: number;
  /** Milliseconds from the first move to the last. */
  readonly tookMs: number;
  /** How long nobody led an election that moved, in milliseconds. */
  readonly gaps: Summary;
}

interface Said {
  readonly event: 'started' | 'stopped';
  readonly election: string;
  readonly at: number;
  readonly replica: number;
}

export async function measureSpread(
  server: RealApiServer,
  namespace: string,
  fleet: SpreadFigures['fleet'],
): Promise<SpreadFigures> {
  const kubeconfig = await server.writeKubeconfig({ namespace });
  const said: Said[] = [];
  const replicas: ChildProcess[] = [];
  const start = (): void => {
    const program = fileURLToPath(new URL('spread-replica.js', import.meta.url));
    const child = spawn(process.execPath, [program, namespace, String(ELECTIONS), fleet], {
      env: { ...process.env, KUBECONFIG: kubeconfig },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const replica = replicas.push(child) - 1;
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.push({ ...(JSON.parse(line) as Omit<Said, 'replica'>), replica });
    });
  };
  try {
    start();
    while (said.length < ELECTIONS) await setTimeout(100);
    const before = said.length;
    while (replicas.length < REPLICAS) start();
    await quiet(said);
    return figuresOf(fleet, said, before);
  } finally {
    await Promise.all(replicas.map((replica) => ended(replica)));
  }
}

async function quiet(said: readonly Said[]): Promise<void> {
  for (;;) {
    const before = said.length;
    await setTimeout(QUIET_MS);
    if (said.length === before) return;
  }
}

function figuresOf(fleet: SpreadFigures['fleet'], said: readonly Said[], before: number): SpreadFigures {
  const leader = new Map<string, number>();
  const stoppedAt = new Map<string, number>();
  const gaps: number[] = [];
  const moves = said.slice(before).sort((a, b) => a.at - b.at);
  for (const { event, election, at, replica } of [...said.slice(0, before), ...moves]) {
    if (event === 'stopped') stoppedAt.set(election, at);
    else {
      leader.set(election, replica);
      const since = stoppedAt.get(election);
      if (since !== undefined) gaps.push(at - since);
    }
  }
  const loads = Array.from(
    { length: REPLICAS },
    (_, replica) => [...leader.values()].filter((leading) => leading === replica).length,
  );
  return {
    fleet,
    loads: loads.sort((a, b) => b - a),
    moves: gaps.length,
    tookMs: (moves.at(-1)?.at ?? 0) - (moves[0]?.at ?? 0),
    gaps: summarise(gaps),
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => {
      resolve();
    });
    child.kill('SIGTERM');
  });
}
