/**
 * The kinds of death: how long until somebody leads again, with what this package proves of each, beside client-go; and what the
 * three choices of `timing` cost and save. Every replica is a process; a container is a PID namespace of its own.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { FaultProxy } from '../test/rig/fault-proxy.js';
import { RigPod, time } from '../test/rig/rig-pod.js';
import type { Contender } from '../test/rig/contender.js';
import { canUnshare, clientGo, mortal, type MortalOptions, type Timing } from './contenders.js';
import { expiryOf } from './expiry.js';
import { requestsIn } from './steady.js';
import { through, type Surroundings } from './surroundings.js';
import { demand, now, saidAt, until } from './until.js';

/** How a leader dies, or that all replicas are gone. */
export type Death = 'exception' | 'sameContainer' | 'podStatus' | 'unknown' | 'allGone';

/** Milliseconds until the next leader; null: not in time. */
export interface DeathSeries {
  readonly side: 'nestjs-leader' | 'client-go';
  readonly death: Death;
  readonly timing: Timing;
  readonly untilNext: readonly (number | null)[];
}

/** What a choice of `timing` costs and saves, besides its {@link DeathSeries}. */
export interface ProfileFigures {
  readonly timing: Timing;
  /** For how long a term lasts after the API server stops answering. */
  readonly survivesMs: readonly (number | null)[];
  readonly requestsAMinute: number;
}

/** All of this. */
export interface DeathFigures {
  readonly deaths: readonly DeathSeries[];
  readonly profiles: readonly ProfileFigures[];
}

/** How many trials of each death; the two other choices of `timing` have fewer. */
export interface DeathSizes {
  readonly trials: number;
  readonly profileTrials: number;
}

const TIMINGS: readonly Timing[] = ['fast', 'standard', 'patient'];
/** The lease duration of each choice. */
const LEASE_MS: Readonly<Record<Timing, number>> = { fast: 3_000, standard: 15_000, patient: 137_000 };
const STARTS_WITHIN_MS = 60_000;
const FOLLOWS_WITHIN_MS = 10_000;
/** The time beyond a lease after which nobody is expected to lead any more. */
const PATIENCE_MS = 30_000;
const STARTED_AT_ONCE = 4;
/** The time between two deaths, so that they do not disturb each other. */
const GAP_MS = 300;
/** Requests are counted for this long, at least. */
const COUNTED_MS = 110_000;
/** The time until the audit log is written. */
const LOG_WRITTEN_MS = 2_000;
const LOOK_EVERY_MS = 50;

/** A leader, mostly with a follower, that is about to die. */
interface Trial {
  readonly side: DeathSeries['side'];
  readonly death: Death;
  readonly timing: Timing;
  /** Starts the processes, and waits until they lead and follow. */
  prepare(): Promise<void>;
  /** Milliseconds from the death to the next leader. */
  strike(): Promise<number | null>;
}

/** @param surroundings with an audit log. */
export async function measureDeaths(
  surroundings: Surroundings,
  { trials, profileTrials }: DeathSizes,
  tell: (what: string) => void,
): Promise<DeathFigures> {
  const { server } = surroundings;
  const cast = new Cast(surroundings);
  try {
    const all = TIMINGS.flatMap((timing) =>
      trialsOf(cast, timing, timing === 'standard' ? trials : profileTrials),
    );
    // The longest first.
    all.sort((a, b) => waitOf(b) - waitOf(a));
    const outages = TIMINGS.flatMap((timing) =>
      Array.from({ length: profileTrials }, () => new Outage(cast, timing)),
    );
    const counted = TIMINGS.map((timing) => ({ timing, lease: cast.newLease() }));
    const preparing = [
      ...counted.map(
        ({ timing, lease }) =>
          () =>
            cast.leads(lease, { timing }).then(() => undefined),
      ),
      ...[...all, ...outages].map((one) => () => one.prepare()),
    ];
    await atOnce(preparing, (count) => {
      tell(`started ${String(count)} of ${String(preparing.length)}`);
    });
    const countedFrom = Date.now();
    const struck = outages.map((outage) => outage.strike());
    const results = new Map<Trial, Promise<number | null>>();
    for (const trial of all) {
      results.set(trial, trial.strike());
      await pause(GAP_MS);
    }
    tell('waiting until every lease is led again');
    const survived = await Promise.all(struck);
    const next = new Map(
      await Promise.all([...results].map(async ([trial, result]) => [trial, await result] as const)),
    );
    await pause(Math.max(0, countedFrom + COUNTED_MS - Date.now()));
    const countedTo = Date.now();
    await pause(LOG_WRITTEN_MS);
    const requests = requestsIn(await readFile(server.auditLogPath, 'utf8'), countedFrom, countedTo);
    return {
      deaths: seriesOf(next),
      profiles: counted.map(({ timing, lease }) => ({
        timing,
        survivesMs: survived.filter((_, index) => outages[index]?.timing === timing),
        requestsAMinute:
          ((requests.get(`${lease} ${cast.user}`) ?? []).length * 60_000) / (countedTo - countedFrom),
      })),
    };
  } finally {
    await cast.end();
  }
}

function trialsOf(cast: Cast, timing: Timing, count: number): Trial[] {
  const kinds: readonly (() => Trial)[] =
    timing === 'standard'
      ? [
          () => new WithFollower(cast, 'exception', timing),
          () => new Restarted(cast, timing),
          () => new StatusTells(cast),
          () => new WithFollower(cast, 'unknown', timing),
          () => new AllGone(cast, 'nestjs-leader'),
          () => new WithFollower(cast, 'exception', timing, 'client-go'),
          () => new Restarted(cast, timing, 'client-go'),
          () => new WithFollower(cast, 'unknown', timing, 'client-go'),
          () => new AllGone(cast, 'client-go'),
        ]
      : [
          () => new WithFollower(cast, 'exception', timing),
          () => new Restarted(cast, timing),
          () => new WithFollower(cast, 'unknown', timing),
        ];
  const possible = kinds.map((make) => Array.from({ length: count }, make)).flat();
  return possible.filter(
    ({ death, side }) => death !== 'sameContainer' || side === 'client-go' || canUnshare(),
  );
}

function waitOf({ death, timing }: Trial): number {
  return death === 'unknown' || death === 'allGone' ? LEASE_MS[timing] : 0;
}

function seriesOf(results: ReadonlyMap<Trial, number | null>): DeathSeries[] {
  const series = new Map<string, DeathSeries>();
  for (const [{ side, death, timing }, result] of results) {
    const key = [side, death, timing].join();
    const known = series.get(key)?.untilNext ?? [];
    series.set(key, { side, death, timing, untilNext: [...known, result] });
  }
  return [...series.values()];
}

async function atOnce(works: readonly (() => Promise<void>)[], done: (count: number) => void): Promise<void> {
  const waiting = [...works];
  let count = 0;
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await next();
      count += 1;
      done(count);
    }
  };
  await Promise.all(Array.from({ length: STARTED_AT_ONCE }, work));
}

/** Starts processes, and ends those that are left. */
class Cast {
  readonly surroundings: Surroundings;
  readonly #all: Contender[] = [];
  #leases = 0;
  #started = 0;

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
  }

  /** The user of all requests. */
  get user(): string {
    return this.surroundings.credentials[0].user;
  }

  /** Creates a pod. No kubelet runs here, so the measurement writes its status. */
  pod(name: string): Promise<RigPod> {
    const { server, namespace } = this.surroundings;
    return RigPod.create(server, name, { namespace });
  }

  newLease(): string {
    this.#leases += 1;
    return `death-${String(this.#leases)}`;
  }

  async start(
    lease: string,
    options: Omit<MortalOptions, 'lease' | 'identity'>,
    side?: DeathSeries['side'],
  ): Promise<Contender> {
    this.#started += 1;
    const identity = `${lease}-${String(this.#started)}`;
    const [credentials] = this.surroundings.credentials;
    const contender =
      side === 'client-go'
        ? await clientGo(this.surroundings).start({ lease, identity, credentials })
        : mortal(this.surroundings, { ...options, lease, identity });
    this.#all.push(contender);
    return contender;
  }

  /** Starts a process and waits until it leads. */
  async leads(...args: Parameters<Cast['start']>): Promise<Contender> {
    const contender = await this.start(...args);
    await demand(`${contender.identity} to lead`, [contender], STARTS_WITHIN_MS, () =>
      saidAt(contender, 'started'),
    );
    return contender;
  }

  /** Starts a process and waits until it knows the leader. */
  async follows(...args: Parameters<Cast['start']>): Promise<Contender> {
    const contender = await this.start(...args);
    await until([contender], FOLLOWS_WITHIN_MS, () => saidAt(contender, 'leader'));
    return contender;
  }

  async end(): Promise<void> {
    await Promise.all(this.#all.map((contender) => contender.kill()));
  }
}

/** Milliseconds until `next` leads. */
async function untilItLeads(next: Contender, sinceMs: number, timing: Timing): Promise<number | null> {
  const at = await until([next], LEASE_MS[timing] + PATIENCE_MS, () => saidAt(next, 'started', sinceMs));
  return at === undefined ? null : at - sinceMs;
}

/** The leader dies by an exception, or by SIGKILL without anything that tells; another process follows. */
class WithFollower implements Trial {
  #leader: Contender | undefined;
  #follower: Contender | undefined;

  constructor(
    readonly cast: Cast,
    readonly death: 'exception' | 'unknown',
    readonly timing: Timing,
    readonly side: DeathSeries['side'] = 'nestjs-leader',
  ) {}

  async prepare(): Promise<void> {
    const lease = this.cast.newLease();
    this.#leader = await this.cast.leads(lease, { timing: this.timing }, this.side);
    this.#follower = await this.cast.follows(lease, { timing: this.timing }, this.side);
  }

  strike(): Promise<number | null> {
    const [leader, follower] = [found(this.#leader), found(this.#follower)];
    const struckAt = now();
    leader.signal(this.death === 'unknown' ? 'SIGKILL' : this.side === 'client-go' ? 'SIGQUIT' : 'SIGUSR2');
    return untilItLeads(follower, struckAt, this.timing);
  }
}

/** The only replica is killed, and its container starts again in its pod. Counted from that start. */
class Restarted implements Trial {
  readonly death = 'sameContainer';
  #lease = '';
  #leader: Contender | undefined;
  #pod: RigPod | undefined;

  constructor(
    readonly cast: Cast,
    readonly timing: Timing,
    readonly side: DeathSeries['side'] = 'nestjs-leader',
  ) {}

  async prepare(): Promise<void> {
    this.#lease = this.cast.newLease();
    this.#pod = await this.cast.pod(this.#lease);
    this.#leader = await this.cast.leads(this.#lease, this.#options, this.side);
  }

  async strike(): Promise<number | null> {
    await found(this.#leader).kill();
    const startedAt = now();
    return untilItLeads(await this.cast.start(this.#lease, this.#options, this.side), startedAt, this.timing);
  }

  get #options(): Omit<MortalOptions, 'lease' | 'identity'> {
    return { timing: this.timing, isContainer: true, env: found(this.#pod).env };
  }
}

/** The leader is killed, and the status of its pod says so. Counted from the writing of the status. */
class StatusTells implements Trial {
  readonly death = 'podStatus';
  readonly side = 'nestjs-leader';
  readonly timing = 'standard';
  #leader: Contender | undefined;
  #follower: Contender | undefined;
  #pod: RigPod | undefined;

  constructor(readonly cast: Cast) {}

  async prepare(): Promise<void> {
    const { cast, timing } = this;
    const lease = cast.newLease();
    const pod = (this.#pod = await cast.pod(lease));
    const takeover = 'podStatus';
    this.#leader = await cast.leads(lease, { timing, takeover, env: pod.env, isContainer: canUnshare() });
    // The runtime starts the first process before it notes the time.
    await pod.report([pod.container({ running: { startedAt: time(0) } })]);
    const { env } = await cast.pod(`${lease}-follower`);
    this.#follower = await cast.follows(lease, { timing, takeover, env });
    await this.#isNoted(lease);
  }

  async strike(): Promise<number | null> {
    await found(this.#leader).kill();
    const pod = found(this.#pod);
    const toldAt = now();
    await pod.report([pod.killed()]);
    return untilItLeads(found(this.#follower), toldAt, this.timing);
  }

  /** The leader has read its container's id, and renewed the lease since. */
  async #isNoted(lease: string): Promise<void> {
    const { server, namespace } = this.cast.surroundings;
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${lease}`;
    const giveUpAt = now() + STARTS_WITHIN_MS;
    while (!(await server.client.demand('GET', path)).text.includes('containerId=')) {
      if (now() > giveUpAt) throw new Error(`The holder of ${lease} has not written its container's id.`);
      await pause(LOOK_EVERY_MS);
    }
  }
}

/** All replicas have been gone for longer than the lease when the first one starts again. Counted from that start. */
class AllGone implements Trial {
  readonly death = 'allGone';
  readonly timing = 'standard';
  #lease = '';
  #leader: Contender | undefined;

  constructor(
    readonly cast: Cast,
    readonly side: DeathSeries['side'],
  ) {}

  async prepare(): Promise<void> {
    this.#lease = this.cast.newLease();
    this.#leader = await this.cast.leads(this.#lease, this.#options, this.side);
  }

  async strike(): Promise<number | null> {
    await found(this.#leader).kill();
    const expiresAt = await expiryOf(this.cast.surroundings, this.#lease);
    // Times in whole seconds cost up to two.
    await pause(expiresAt + 3_000 - now());
    const startedAt = now();
    return untilItLeads(await this.cast.start(this.#lease, this.#options, this.side), startedAt, this.timing);
  }

  get #options(): Omit<MortalOptions, 'lease' | 'identity'> {
    return { timing: this.timing, serverClockMargin: 0 };
  }
}

/** The API server stops answering a leader. */
class Outage {
  #proxy: FaultProxy | undefined;
  #leader: Contender | undefined;

  constructor(
    readonly cast: Cast,
    readonly timing: Timing,
  ) {}

  async prepare(): Promise<void> {
    const { surroundings } = this.cast;
    this.#proxy = await FaultProxy.start(surroundings.url);
    const { url } = await through(surroundings, this.#proxy.url);
    this.#leader = await this.cast.leads(this.cast.newLease(), { timing: this.timing, url });
  }

  /** Milliseconds until the leader's term is over. */
  async strike(): Promise<number | null> {
    const [proxy, leader] = [found(this.#proxy), found(this.#leader)];
    const stalledAt = now();
    proxy.stall();
    const toldAt = await until([leader], LEASE_MS[this.timing] + PATIENCE_MS, () =>
      saidAt(leader, 'stopped', stalledAt),
    );
    await leader.kill();
    await proxy.stop();
    return toldAt === undefined ? null : toldAt - stalledAt;
  }
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('This trial was not prepared.');
  return value;
}
