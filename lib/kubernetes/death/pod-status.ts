/**
 * Proof by the status of a pod (`takeover: 'podStatus'`): there the kubelet says that a container has terminated. What proves a
 * death is in lib/election/death/evidence.ts.
 */
import {
  LeaderError,
  SystemClock,
  WatchKeeper,
  isReportedDead,
  isSubdomain,
  ownContainerId,
  processOf,
  textOf,
  type Attendant,
  type Clock,
  type Disposer,
  type HolderProcess,
  type LeaderErrorCode,
  type LeaseRequestError,
  type PodSeen,
  type ProofOfDeath,
  type Report,
  type WatchEvent,
} from '../../election/internal.js';
import type { ApiConnection } from '../api-connection.js';
import { leaseIn } from '../lease-object.js';
import { watchObject, type ObjectEvent } from '../object-watch.js';
import type { PodAddress } from '../pod.js';
import { WATCHED_PODS, pathOf } from '../resources.js';
import { SameContainer } from './same-container.js';

/** What a {@link PodStatus} is made of. */
export interface PodStatusParts {
  readonly connection: ApiConnection;
  /** What this process knows of itself; undefined if that proves nothing. */
  readonly own: HolderProcess | undefined;
  /** Default: the {@link SystemClock}. */
  readonly clock?: Clock;
}

/** The pause after a watch that failed or did not last. */
const RETRY_MS = 2_000;
/** How long the status of this process' pod may take to show its container. A kubelet needs a second or two. */
const LEARN_WITHIN_MS = 30_000;

/** Called with each state of a pod, until it returns true. */
type Look = (pod: PodSeen) => boolean;

/**
 * Learns from the status of the holder's pod that its process is dead, and from the status of this process' own pod the id of
 * its container, which others need for that. All elections on one connection share it, and all that follow one pod share one
 * watch.
 */
export class PodStatus implements ProofOfDeath {
  readonly #connection: ApiConnection;
  readonly #clock: Clock;
  readonly #own: HolderProcess | undefined;
  readonly #sameContainer: ProofOfDeath;
  #self: string | undefined;
  /** Ends the search for the id of this process' container; undefined if it is known or not searched for. */
  #stopLearning: Disposer | undefined;
  #hasLearned = false;
  /** By namespace and name of the pod. */
  readonly #watches = new Map<string, PodWatch>();
  /** The elections that run. The first reports failures. */
  readonly #elections = new Set<{ readonly report: Report }>();
  /** The failure that was reported last, by namespace, until a watch opens there. */
  readonly #reported = new Map<string, LeaderErrorCode>();

  constructor({ connection, own, clock = new SystemClock() }: PodStatusParts) {
    this.#connection = connection;
    this.#clock = clock;
    this.#own = own;
    this.#sameContainer = new SameContainer(own, clock);
    this.#self = own && textOf(own);
  }

  get self(): string | undefined {
    return this.#self;
  }

  follow(process: string, gone: () => void): Disposer {
    const holder = processOf(process);
    if (holder === undefined) return () => undefined;
    const leaves = [
      this.#sameContainer.follow(process, gone),
      this.#watch(holder, (pod) => {
        const isDead = isReportedDead(holder, pod);
        if (isDead) gone();
        return isDead;
      }),
    ];
    return () => {
      for (const leave of leaves) leave();
    };
  }

  /**
   * Goes along with one election. While any election runs, the id of this process' container is searched for, and failures are
   * reported as `LEADER_POD_STATUS_FAILED`.
   */
  attendant(): Attendant {
    let leave: Disposer = () => undefined;
    return {
      start: (report) => {
        leave = this.#join(report);
      },
      stop: () => {
        leave();
      },
    };
  }

  #join(report: Report): Disposer {
    const election = { report };
    this.#elections.add(election);
    if (this.#elections.size === 1) this.#learn();
    return () => {
      this.#elections.delete(election);
      if (this.#elections.size === 0) this.#stopLearning?.();
    };
  }

  /** Searches the status of this process' pod for the id of its container, until it is there. */
  #learn(): void {
    if (this.#hasLearned) return;
    const own = this.#own;
    const pod = addressIn(own?.pod);
    if (own?.startedOn === undefined || pod === undefined) {
      this.#tell(unknownSelf(own));
      return;
    }
    const disarm = this.#clock.setTimer(LEARN_WITHIN_MS, () => {
      this.#tell(notShown(pod, own.container));
    });
    // The node's clock may have been adjusted a little since the container started.
    const about = { ...own, startedOn: own.startedOn - 1 };
    const leave = this.#watch(own, (seen) => {
      const containerId = ownContainerId(about, seen);
      if (containerId === undefined) return false;
      this.#hasLearned = true;
      this.#self = textOf({ ...own, containerId });
      disarm();
      return true;
    });
    this.#stopLearning = () => {
      disarm();
      leave();
    };
  }

  /** Looks at the pod of that process. Does nothing if the process has not written which pod that is. */
  #watch({ pod: named }: HolderProcess, look: Look): Disposer {
    const pod = addressIn(named);
    if (pod === undefined) return () => undefined;
    const key = keyOf(pod);
    const known = this.#watches.get(key);
    if (known !== undefined) return known.add(look);
    const watch = new PodWatch(this.#connection, pod, this.#clock, {
      onOpen: () => {
        this.#reported.delete(pod.namespace);
      },
      onError: (problem) => {
        this.#onError(pod, problem);
      },
      onEnd: () => {
        this.#watches.delete(key);
      },
    });
    this.#watches.set(key, watch);
    return watch.add(look);
  }

  #onError(pod: PodAddress, problem: LeaseRequestError): void {
    if (this.#reported.get(pod.namespace) === problem.code) return;
    this.#reported.set(pod.namespace, problem.code);
    this.#tell(notWatched(pod, problem));
  }

  #tell(error: LeaderError): void {
    const [election] = this.#elections;
    election?.report(error);
  }
}

interface PodWatchListener {
  readonly onOpen: () => void;
  readonly onError: (problem: LeaseRequestError) => void;
  /** Nobody looks at the pod any more. */
  readonly onEnd: () => void;
}

/** A watch on one pod. It is kept open while anybody looks. */
class PodWatch {
  readonly #connection: ApiConnection;
  readonly #pod: PodAddress;
  readonly #onEnd: () => void;
  readonly #keeper: WatchKeeper;
  readonly #looks = new Set<{ readonly look: Look }>();
  /** The state that was seen last. */
  #seen: PodSeen | undefined;

  constructor(
    connection: ApiConnection,
    pod: PodAddress,
    clock: Clock,
    { onOpen, onError, onEnd }: PodWatchListener,
  ) {
    this.#connection = connection;
    this.#pod = pod;
    this.#onEnd = onEnd;
    const watched = {
      watch: (onEvent: (event: WatchEvent) => void, signal: AbortSignal) => this.#open(onEvent, signal),
    };
    this.#keeper = new WatchKeeper(watched, clock, RETRY_MS, {
      // The events have been shown before.
      onEvent: () => undefined,
      onStateChange: (state) => {
        if (state === 'open') onOpen();
      },
      onError,
    });
    this.#keeper.start();
  }

  /** @param look called at once if a state is known. */
  add(look: Look): Disposer {
    const one = { look };
    this.#looks.add(one);
    if (this.#seen !== undefined && look(this.#seen)) this.#remove(one);
    return () => {
      this.#remove(one);
    };
  }

  async #open(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    const watch = {
      connection: this.#connection,
      path: pathOf(WATCHED_PODS, 'v1', { namespace: this.#pod.namespace }),
      context: { verb: 'watch', resource: WATCHED_PODS, ...this.#pod },
      // Evidence names the uid itself, so the pod may be any of this name.
      knownUid: () => undefined,
      readUid: () => Promise.resolve(undefined),
      onEvent: (event: ObjectEvent) => {
        // The state in which a pod was deleted is evidence like any other.
        if (event.kind !== 'opened') this.#show(event.object);
        onEvent(event.kind === 'opened' ? event : { kind: 'seen', snapshot: leaseIn(event.object) });
      },
    } as const;
    await watchObject(watch, signal);
  }

  #show(pod: PodSeen): void {
    this.#seen = pod;
    for (const one of [...this.#looks]) if (this.#looks.has(one) && one.look(pod)) this.#remove(one);
  }

  #remove(one: { readonly look: Look }): void {
    if (!this.#looks.delete(one) || this.#looks.size > 0) return;
    this.#keeper.stop();
    this.#onEnd();
  }
}

function keyOf({ namespace, name }: PodAddress): string {
  return `${namespace}/${name}`;
}

/** The namespace and name in `namespace/name`; undefined for anything that no pod can have. */
function addressIn(pod: string | undefined): PodAddress | undefined {
  const [namespace = '', name = '', ...others] = pod?.split('/') ?? [];
  return others.length === 0 && isSubdomain(namespace) && isSubdomain(name) ? { namespace, name } : undefined;
}

const MEANWHILE =
  `The election continues. Until this works, a lease is waited out when the process of its holder has been killed (SIGKILL, out of ` +
  `memory) (takeover: 'podStatus').`;

function notWatched(pod: PodAddress, cause: LeaseRequestError): LeaderError {
  return new LeaderError(
    'LEADER_POD_STATUS_FAILED',
    `The status of pod '${keyOf(pod)}' cannot be watched: ${cause.message} ${MEANWHILE}`,
    { cause },
  );
}

function unknownSelf(own: HolderProcess | undefined): LeaderError {
  const missing =
    own === undefined
      ? [
          'the uid of its pod or the name of its container (in the manifest set POD_UID by the downward API, metadata.uid, and ' +
            'CONTAINER_NAME)',
        ]
      : [
          ...(own.pod === undefined
            ? [
                'the name or the namespace of its pod (set POD_NAME and POD_NAMESPACE by the downward API, metadata.name and ' +
                  'metadata.namespace)',
              ]
            : []),
          ...(own.startedOn === undefined
            ? [
                'when its container started (/proc/1/stat or another file of procfs cannot be read or is not its own)',
              ]
            : []),
        ];
  return new LeaderError(
    'LEADER_POD_STATUS_FAILED',
    `This process does not know ${missing.join(', nor ')}, so others cannot learn of its death. See docs/crashes.md. ${MEANWHILE}`,
  );
}

function notShown(pod: PodAddress, container: string): LeaderError {
  return new LeaderError(
    'LEADER_POD_STATUS_FAILED',
    `The status of this process' pod '${keyOf(pod)}' has not shown its container '${container}' as running for ` +
      `${String(LEARN_WITHIN_MS / 1_000)} s, so others cannot learn of its death. Are POD_NAME, POD_NAMESPACE, POD_UID and ` +
      `CONTAINER_NAME those of this process? ${MEANWHILE}`,
  );
}
