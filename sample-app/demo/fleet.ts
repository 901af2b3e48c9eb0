import { Chronicle } from './chronicle.js';
import type { Claim } from './check-claims.js';
import { machineNow, until } from './machine-clock.js';
import { Replica } from './replica.js';

/** The timing of the demo, in milliseconds: short, so that nobody waits long. */
export const LEASE_DURATION_MS = 6_000;
const RENEW_DEADLINE_MS = 4_000;
const RETRY_PERIOD_MS = 1_000;
/** Long, because a busy laptop starts three Nest applications at once. */
const START_WITHIN_MS = 60_000;

export interface FleetSettings {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly leaseName: string;
}

/** The replicas of the sample application. Each has a place, in which a new process may follow an ended one. */
export class Fleet {
  readonly chronicle = new Chronicle(machineNow());
  readonly #settings: FleetSettings;
  readonly #places: Replica[] = [];
  readonly #starts: number[] = [];

  constructor(settings: FleetSettings) {
    this.#settings = settings;
  }

  get replicas(): readonly Replica[] {
    return this.#places;
  }

  /** Starts a replica in a place. */
  start(place: number): Replica {
    const starts = (this.#starts[place] ?? 0) + 1;
    this.#starts[place] = starts;
    // Every process has an identity of its own, also in the place of another.
    const identity = `replica-${String(place + 1)}${starts > 1 ? `.${String(starts)}` : ''}`;
    const { kubeconfig, namespace, leaseName } = this.#settings;
    const replica = new Replica({
      identity,
      environment: {
        KUBECONFIG: kubeconfig,
        LEASE_NAME: leaseName,
        LEASE_NAMESPACE: namespace,
        LEASE_DURATION: String(LEASE_DURATION_MS),
        RENEW_DEADLINE: String(RENEW_DEADLINE_MS),
        RETRY_PERIOD: String(RETRY_PERIOD_MS),
      },
      onMessage: (message) => {
        this.chronicle.take(identity, message);
      },
      onExit: (how) => {
        this.chronicle.note(machineNow(), `${identity} ended (${how})`);
      },
    });
    this.#places[place] = replica;
    return replica;
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

  async stopAll(): Promise<void> {
    await Promise.all(this.#places.map((replica) => replica.stop()));
  }

  /** Kills all replicas at once, when the demo itself has failed. */
  async killAll(): Promise<void> {
    await Promise.all(this.#places.map((replica) => replica.kill()));
  }
}
