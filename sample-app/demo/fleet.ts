import { Chronicle } from './chronicle.js';
import { violationsIn, type Claim } from './check-claims.js';
import { machineNow, until } from './machine-clock.js';
import type { Action } from './page/recording.js';
import { Replica } from './replica.js';
import type { RunRecorder } from './run-recorder.js';

/** The timing of the demo, in milliseconds: short, so that nobody waits long. */
export const LEASE_DURATION_MS = 6_000;
export const RENEW_DEADLINE_MS = 4_000;
/** Long, because a busy laptop starts three Nest applications at once. */
const START_WITHIN_MS = 60_000;

/** How many replicas a fleet has. */
const SIZE = 3;

/** What distinguishes one fleet from another. */
export interface FleetKind {
  /** What the page calls these replicas. */
  readonly group: string;
  /** The program of a replica, relative to replica.ts. */
  readonly program: string;
  /** The beginning of the names of its replicas. */
  readonly name: string;
  readonly retryPeriodMs: number;
}

/** Replicas of the sample application. */
export const OURS: FleetKind = {
  group: 'nestjs-leader',
  program: '../main.js',
  name: 'replica',
  retryPeriodMs: 1_000,
};
/** Replicas that poll, with the RetryPeriod that is client-go's default. */
export const POLLERS: FleetKind = {
  group: 'polls like client-go',
  program: './poller.js',
  name: 'poller',
  retryPeriodMs: 2_000,
};

/** Where the Lease of a fleet is. */
export interface Cluster {
  readonly namespace: string;
  readonly leaseName: string;
  /** The path of the kubeconfig for the replicas of this lane. */
  kubeconfigOf(lane: string): string;
  /** Lets every request of this lane hang, until the function that is returned is called. Undefined: this cluster cannot. */
  readonly cutOff: ((lane: string) => () => void) | undefined;
}

/** Replicas on one Lease. Each has a place, in which a new process may follow an ended one. */
export class Fleet {
  readonly chronicle = new Chronicle(machineNow());
  readonly #kind: FleetKind;
  readonly #cluster: Cluster;
  readonly #recorder: RunRecorder;
  readonly #places: Replica[] = [];
  readonly #starts: number[] = [];
  readonly #mends = new Map<number, () => void>();

  constructor(kind: FleetKind, cluster: Cluster, recorder: RunRecorder) {
    this.#kind = kind;
    this.#cluster = cluster;
    this.#recorder = recorder;
  }

  get replicas(): readonly Replica[] {
    return this.#places;
  }

  /** Starts a replica in each place. */
  startAll(): Replica[] {
    return Array.from({ length: SIZE }, (_, place) => this.start(place));
  }

  /** Starts a replica in a place. */
  start(place: number): Replica {
    const starts = (this.#starts[place] ?? 0) + 1;
    this.#starts[place] = starts;
    // Every process has an identity of its own, also in the place of another.
    const lane = this.laneOf(place);
    const identity = `${lane}${starts > 1 ? `.${String(starts)}` : ''}`;
    const { group, program, retryPeriodMs } = this.#kind;
    const { namespace, leaseName } = this.#cluster;
    this.#recorder.started(machineNow(), lane, group, identity);
    const replica = new Replica({
      identity,
      program,
      environment: {
        KUBECONFIG: this.#cluster.kubeconfigOf(lane),
        LEASE_NAME: leaseName,
        LEASE_NAMESPACE: namespace,
        LEASE_DURATION: String(LEASE_DURATION_MS),
        RENEW_DEADLINE: String(RENEW_DEADLINE_MS),
        RETRY_PERIOD: String(retryPeriodMs),
      },
      onMessage: (message) => {
        this.chronicle.take(identity, message);
        this.#recorder.take(lane, identity, message);
      },
      onState: (state) => {
        this.#recorder.state(machineNow(), lane, state);
      },
      onExit: (how) => {
        this.#note(place, `${identity} ended (${how})`);
      },
    });
    this.#places[place] = replica;
    return replica;
  }

  /** The name of a place. */
  laneOf(place: number): string {
    return `${this.#kind.name}-${String(place + 1)}`;
  }

  /** The place of that name, if a replica was started there. */
  placeOf(lane: string): number | undefined {
    const place = this.#places.findIndex((_, index) => this.laneOf(index) === lane);
    return place < 0 ? undefined : place;
  }

  /** Why this cannot be done to the replica in a place, as the end of a sentence about it; undefined: it can. */
  obstacleTo(action: Action, place: number): string | undefined {
    const state = this.#places[place]?.state;
    if (state === undefined) return 'is not there';
    const isCut = this.#mends.has(place);
    switch (action) {
      case 'restart':
        return state === 'gone' ? undefined : `is ${state}, not gone`;
      case 'thaw':
        return state === 'frozen' ? undefined : 'is not frozen';
      case 'crash':
      case 'freeze':
        return state === 'running' ? undefined : `is ${state}, not running`;
      case 'stop':
      case 'kill':
        return state === 'gone' ? 'is gone' : undefined;
      case 'mend':
        return isCut ? undefined : 'is not cut from the API server';
      case 'cut':
        if (this.#cluster.cutOff === undefined) return 'can be cut from the embedded API server only';
        if (isCut) return 'is cut already';
        return state === 'gone' ? 'is gone' : undefined;
    }
  }

  /** @throws Error when this cannot be done to the replica in a place. */
  requirePossible(action: Action, place: number): Replica {
    const replica = this.#places[place];
    const obstacle = this.obstacleTo(action, place);
    if (replica === undefined || obstacle !== undefined)
      throw new Error(`Cannot ${action} ${replica?.identity ?? this.laneOf(place)}: it ${String(obstacle)}.`);
    return replica;
  }

  /**
   * Does this to the replica in a place. Resolves when a process that this ends has ended.
   *
   * @throws Error when it cannot be done.
   */
  async act(action: Action, place: number): Promise<void> {
    const replica = this.requirePossible(action, place);
    const lane = this.laneOf(place);
    const at = machineNow();
    if (action !== 'restart') {
      const what = deeds[action];
      this.chronicle.note(at, `${replica.identity}: ${what}`);
      this.#recorder.act(at, lane, what, action === 'thaw' || action === 'mend');
    }
    switch (action) {
      case 'stop':
        await replica.stop();
        return;
      case 'kill':
        await replica.kill();
        return;
      case 'crash':
        replica.crash();
        return;
      case 'freeze':
        replica.freeze();
        return;
      case 'thaw':
        replica.thaw();
        return;
      case 'cut':
        this.#recorder.reach(at, lane, 'cut');
        this.#mends.set(place, this.#cluster.cutOff?.(lane) ?? (() => undefined));
        return;
      case 'mend':
        this.#mends.get(place)?.();
        this.#mends.delete(place);
        this.#recorder.reach(at, lane, 'open');
        return;
      case 'restart':
        this.start(place);
        return;
    }
  }

  #note(place: number, text: string): void {
    const at = machineNow();
    this.chronicle.note(at, text);
    this.#recorder.note(at, this.laneOf(place), text);
  }

  async untilReady(replica: Replica): Promise<void> {
    await until(`${replica.identity} to be ready`, START_WITHIN_MS, () => {
      if (replica.state === 'gone') throw new Error(`${replica.identity} did not start:\n${replica.log}`);
      return replica.state === 'running' ? true : undefined;
    });
  }

  /** The present leader, by its own claims. */
  get leader(): { readonly replica: Replica; readonly claim: Claim } | undefined {
    const claim = this.chronicle.leaderAt(machineNow());
    const replica = this.#places.find(({ identity }) => identity === claim?.replica);
    return claim === undefined || replica === undefined ? undefined : { replica, claim };
  }

  /** Waits for a term that began after `from` in a replica other than `former`. */
  async untilNextLeader(former: Replica | undefined, from: number): Promise<Claim> {
    return until('the next leader', START_WITHIN_MS, () =>
      this.chronicle.history.claims.find((claim) => claim.from >= from && claim.replica !== former?.identity),
    );
  }

  /** Adds what the replicas' reports say is broken to what the page shows. Returns it. */
  judge(): string[] {
    const violations = violationsIn(this.chronicle.history);
    this.#recorder.broken(machineNow(), violations);
    return violations;
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.#places.map((replica) => replica.stop()));
  }

  /** Kills all replicas at once, when the demo itself has failed. */
  async killAll(): Promise<void> {
    await Promise.all(this.#places.map((replica) => replica.kill()));
  }
}

/** What the page and the terminal call these. */
const deeds: Readonly<Record<Exclude<Action, 'restart'>, string>> = {
  stop: 'SIGTERM',
  kill: 'SIGKILL',
  crash: 'uncaught exception',
  freeze: 'SIGSTOP',
  thaw: 'SIGCONT',
  cut: 'cut from the API server',
  mend: 'the way to the API server is open again',
};
