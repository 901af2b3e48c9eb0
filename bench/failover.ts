/** The time from the end of a leader to the next, after SIGTERM (hand-over) and SIGKILL (crash), with new and with idle followers. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Blow, Contest } from './contest.js';
import type { Side } from './contenders.js';
import { expiryOf } from './expiry.js';
import { Fleet } from './fleet.js';
import type { Progress } from './progress.js';
import type { Surroundings } from './surroundings.js';

/** One signal to every leader, when the youngest follower is `idleSeconds` old. */
export interface Round {
  readonly blow: Blow;
  readonly idleSeconds: number;
}

/** Old enough to have read the lease and opened a watch. */
export const YOUNG_SECONDS = 5;
/** Longer than 90 s, after which an API server closes an idle HTTP/1.1 connection. */
export const IDLE_SECONDS = 105;

/** One side, and how many of its leaders are ended in a round. */
export interface Entry {
  readonly side: Side;
  readonly leases: number;
  /** Default: in all rounds. */
  readonly takesPartIn?: (round: Round, index: number) => boolean;
}

/** The results of one side in one kind of round. */
export interface FailoverSeries extends Round {
  readonly side: string;
  /** Milliseconds from the signal to the next leader; null: not in time. */
  readonly fromSignal: readonly (number | null)[];
  /** Milliseconds from the expiry of the leader's lease; only after SIGKILL. */
  readonly fromExpiry: readonly (number | null)[];
}

const ARRIVAL_MS = 300;

/** Another measurement, made while the followers are idle: all processes run, and none is ended. */
export type WhileIdle = (fleet: Fleet) => Promise<void>;

export async function measureFailover(
  surroundings: Surroundings,
  entries: readonly Entry[],
  rounds: readonly Round[],
  progress: Progress,
  whileIdle: readonly WhileIdle[] = [],
): Promise<FailoverSeries[]> {
  const fleet = new Fleet(
    surroundings,
    'failover',
    entries.map(({ side, leases }) => [side, leases]),
  );
  const series = new Map<string, Series>();
  const seriesOf = (side: string, round: Round): Series => {
    const key = JSON.stringify([side, round]);
    const known = series.get(key) ?? { side, ...round, fromSignal: [], fromExpiry: [] };
    series.set(key, known);
    return known;
  };
  const duties = [...whileIdle];
  try {
    for (const [index, round] of rounds.entries()) {
      const what = `${title(round)}, round ${String(index + 1)} of ${String(rounds.length)}`;
      const taking = fleet.contests.filter((contest) => takesPart(entries, contest, round, index));
      await fleet.fill(taking, (count) => {
        progress.show(`${what}: started ${String(count)} of ${String(taking.length)}`);
      });
      if (round.idleSeconds >= IDLE_SECONDS) await duties.shift()?.(fleet);
      await fleet.age(round.idleSeconds, (left) => {
        progress.show(`${what}: followers must be idle for ${String(left)} s more`);
      });
      let struck = 0;
      await fleet.inTurn(taking, async (contest) => {
        await strike(surroundings, contest, round.blow, seriesOf(contest.side.name, round));
        struck += 1;
        progress.show(`${what}: struck ${String(struck)} of ${String(taking.length)}`);
      });
      progress.tell(`${what}: ${String(struck)} leaders struck`);
    }
    for (const duty of duties) await duty(fleet);
  } finally {
    await fleet.end();
  }
  return [...series.values()];
}

interface Series extends FailoverSeries {
  readonly fromSignal: (number | null)[];
  readonly fromExpiry: (number | null)[];
}

async function strike(
  surroundings: Surroundings,
  contest: Contest,
  blow: Blow,
  { fromSignal, fromExpiry }: Series,
): Promise<void> {
  const { lease } = contest;
  const look = async (): Promise<number> => {
    // By then a renewal that was in flight has arrived.
    await pause(ARRIVAL_MS);
    return expiryOf(surroundings, lease);
  };
  const [{ struckAt, nextLeadsAt = null }, expiresAt] = await Promise.all([
    contest.strike(blow),
    blow === 'SIGKILL' ? look() : undefined,
  ]);
  fromSignal.push(nextLeadsAt && nextLeadsAt - struckAt);
  if (expiresAt !== undefined) fromExpiry.push(nextLeadsAt && nextLeadsAt - expiresAt);
}

function takesPart(entries: readonly Entry[], contest: Contest, round: Round, index: number): boolean {
  const entry = entries.find(({ side }) => side === contest.side);
  return entry?.takesPartIn?.(round, index) ?? true;
}

function title({ blow, idleSeconds }: Round): string {
  return `${blow === 'SIGTERM' ? 'handover' : 'crash'}, followers ${String(idleSeconds)} s old`;
}
