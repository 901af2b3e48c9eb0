import {
  isLeaderError,
  pause,
  systemClock,
  type Clock,
  type LeaderError,
  type MonotonicMs,
} from '../election/internal.js';
import type { LeaseFacts, LeaseObserver, LeasesSeen } from '../kubernetes/internal.js';
import { viewOf, type LeaseView } from './lease-view.js';

/** After a watch that failed or could not be opened. */
const AGAIN_MS = 2_000;

/** A Lease as it was seen last. */
interface Seen {
  readonly lease: LeaseFacts;
  /** When this command saw the last renewal; undefined for the first sight. */
  readonly renewedAt: MonotonicMs | undefined;
  readonly token: string | undefined;
}

/** What happens to live Leases. */
export interface LiveEvents {
  /** Some Leases are other than before, or were renewed. */
  changed(): void;
  deleted?(lease: LeaseView): void;
  /** The Leases cannot be watched or read. Told once until a watch is open again. */
  problem(error: LeaderError): void;
}

/**
 * Leases that a watch keeps up to date. A renewal counts from when this command saw it. While the watch cannot be opened, the
 * Leases are read every two seconds.
 */
export class LiveLeases {
  readonly #observer: LeaseObserver;
  readonly #clock: Clock;
  readonly #leases = new Map<string, Seen>();
  /** The server's clock at an instant of this process' monotonic clock. */
  #server: { readonly time: number; readonly at: MonotonicMs } | undefined;

  constructor(observer: LeaseObserver, clock: Clock = systemClock) {
    this.#observer = observer;
    this.#clock = clock;
  }

  /** Now, by the API server's clock, in milliseconds since 1970. */
  get serverNow(): number | undefined {
    return this.#serverTimeOf(this.#clock.now());
  }

  /** The Leases as they are now, in the order of their names. */
  get views(): readonly LeaseView[] {
    return [...this.#leases.values()]
      .map((seen) => this.#view(seen))
      .sort((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
  }

  /**
   * Follows the Leases until `signal` fires. Resolves then.
   *
   * @throws LeaseRequestError if the first read fails.
   */
  async follow(events: LiveEvents, signal: AbortSignal): Promise<void> {
    let version = this.#note(await this.#observer.read(signal), events);
    let reported: string | undefined;
    const onError = (error: unknown): void => {
      if (!isLeaderError(error)) throw error;
      if (error.code !== reported) events.problem(error);
      reported = error.code;
    };
    while (!signal.aborted) {
      let opened = false;
      await this.#observer
        .watch(
          version,
          {
            opened: () => {
              [opened, reported] = [true, undefined];
            },
            change: ({ kind, lease }) => {
              if (kind === 'deleted') this.#forget(keyOf(lease), events);
              else this.#see(lease, true);
              events.changed();
            },
          },
          signal,
        )
        .catch(async (error: unknown) => {
          // One that broke is opened again.
          if (!opened) onError(error);
          await pause(this.#clock, AGAIN_MS, signal);
        });
      // Changes may have been missed in between.
      const note = (seen: LeasesSeen): void => {
        version = this.#note(seen, events);
      };
      await this.#observer.read(signal).then(note, (error: unknown) => {
        if (!signal.aborted) onError(error);
      });
    }
  }

  #note({ leases, resourceVersion, serverTime }: LeasesSeen, events: LiveEvents): string | undefined {
    if (serverTime !== undefined) this.#server = { time: serverTime, at: this.#clock.now() };
    const present = new Set(leases.map(keyOf));
    for (const key of [...this.#leases.keys()]) if (!present.has(key)) this.#forget(key, events);
    for (const lease of leases) this.#see(lease, false);
    events.changed();
    return resourceVersion;
  }

  /** @param isNext whether no change was missed since the last sight. */
  #see(lease: LeaseFacts, isNext: boolean): void {
    const last = this.#leases.get(keyOf(lease));
    const isSameLease = last?.lease.uid === lease.uid;
    const isSameTerm =
      isSameLease && last.lease.holder === lease.holder && last.lease.acquireTime === lease.acquireTime;
    const isRenewed = !isSameLease || last.lease.renewTime !== lease.renewTime;
    const began = isNext && !isSameTerm && lease.holder !== '' && lease.isOurs;
    this.#leases.set(keyOf(lease), {
      lease,
      renewedAt: isRenewed ? (isNext ? this.#clock.now() : undefined) : last.renewedAt,
      token: began ? lease.resourceVersion : isSameTerm ? last.token : undefined,
    });
  }

  #forget(key: string, events: LiveEvents): void {
    const seen = this.#leases.get(key);
    if (seen === undefined) return;
    this.#leases.delete(key);
    events.deleted?.(this.#view(seen));
  }

  #view({ lease, renewedAt, token }: Seen): LeaseView {
    const at = renewedAt === undefined ? undefined : this.#serverTimeOf(renewedAt);
    return viewOf(lease, { serverNow: this.serverNow, renewedAt: at, token });
  }

  #serverTimeOf(at: MonotonicMs): number | undefined {
    return this.#server && this.#server.time + (at - this.#server.at);
  }
}

function keyOf({ namespace, name }: Pick<LeaseFacts, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
