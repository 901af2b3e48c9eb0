import { systemClock } from '../../election/internal.js';
import {
  LEASES,
  LeaseObserver,
  SideRequests,
  factsOf,
  isGranted,
  jsonIn,
  pathOf,
  reading,
  refusal,
  type KubernetesConnection,
} from '../../kubernetes/internal.js';
import { PATIENCE_MS } from '../cluster.js';
import { timed, type Timed } from './requests.js';

/** What writes and a watch take, in milliseconds. */
export interface Measured {
  readonly writes: readonly number[];
  /** From the sending of a write to its event. Undefined: the event did not come. */
  readonly events: readonly (number | undefined)[];
  /** `stored`: on a temporary Lease. `dryRun`: the API server did everything but store them. */
  readonly how: 'stored' | 'dryRun';
}

const WRITES = 5;
/** How long to wait for the event of a write. */
const EVENT_WITHIN_MS = 5_000;

/** Whether this account may do all that {@link probe} does. */
export async function mayProbe(
  connection: KubernetesConnection,
  namespace: string,
  name: string,
): Promise<boolean> {
  const requests = new SideRequests(connection, PATIENCE_MS);
  for (const verb of ['create', 'update', 'watch', 'delete'])
    if (!(await isGranted(requests, { resource: LEASES, verb, namespace, name }))) return false;
  return true;
}

/** The name of a Lease that exists only while the doctor measures. */
export function temporaryName(): string {
  return `nestjs-leader-doctor-${systemClock.random().toString(36).slice(2, 10).padEnd(8, '0')}`;
}

/**
 * Creates a Lease of this name, writes it a few times while it watches it, and deletes it, whatever happens.
 *
 * @throws LeaseRequestError if a request is refused, and what the connection throws.
 */
export async function probe(
  connection: KubernetesConnection,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Measured> {
  const path = pathOf(LEASES, 'v1', { namespace, name });
  const context = { resource: LEASES, name, namespace } as const;
  const write = async (
    metadata: object,
    round: number,
  ): Promise<Timed & { version: string; uid: string }> => {
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace, ...metadata },
      spec: { holderIdentity: '', leaseTransitions: round },
    };
    const answer = await timed(connection, { method: 'PUT', path, body }, signal);
    const asked = { verb: round === 0 ? 'create' : 'update', ...context } as const;
    if (answer.status !== 200 && answer.status !== 201) throw refusal(answer, asked);
    const { resourceVersion, uid } = reading(asked, () => factsOf(jsonIn(answer, asked), namespace, name));
    return { ...answer, version: resourceVersion, uid };
  };
  const stop = new AbortController();
  try {
    const created = await write({}, 0);
    const events = new Events();
    const observer = new LeaseObserver(connection, { namespace, name }, PATIENCE_MS);
    const watching = observer.watch(
      created.version,
      {
        change: ({ lease }) => {
          events.came(lease.resourceVersion);
        },
      },
      AbortSignal.any([signal, stop.signal]),
    );
    // Why it fails is the finding about the watch, which is opened once more for that; the writes go on without it.
    const failed = watching.then(
      () => new Promise<undefined>(() => undefined),
      () => undefined,
    );
    const measured: { write: number; event: number | undefined }[] = [];
    let { version, uid } = created;
    for (let round = 1; round <= WRITES; round += 1) {
      const sentAt = systemClock.now();
      const answer = await write({ uid, resourceVersion: version }, round);
      ({ version, uid } = answer);
      const cameAt = await Promise.race([events.next(version), failed]);
      measured.push({ write: answer.ms, event: cameAt === undefined ? undefined : cameAt - sentAt });
      if (cameAt === undefined) break;
    }
    return {
      writes: measured.map(({ write: took }) => took),
      events: measured.map(({ event }) => event),
      how: 'stored',
    };
  } finally {
    stop.abort();
    // Also when the command is told to end, and when it is unknown whether the Lease was created. Nobody else knows its name.
    await timed(connection, { method: 'DELETE', path }, new AbortController().signal);
  }
}

/** Writes a Lease as it is, or creates it, without storing it. Nobody sees these writes, nor are they events. */
export async function dryRun(
  connection: KubernetesConnection,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<Measured> {
  const path = pathOf(LEASES, 'v1', { namespace, name });
  const writes: number[] = [];
  for (let round = 0; round < WRITES; round += 1) {
    const read = await timed(connection, { method: 'GET', path }, signal);
    const body: unknown =
      read.status === 200
        ? jsonIn(read, { verb: 'get', resource: LEASES, name, namespace })
        : {
            apiVersion: 'coordination.k8s.io/v1',
            kind: 'Lease',
            metadata: { name, namespace },
            spec: { holderIdentity: '' },
          };
    const answer = await timed(connection, { method: 'PUT', path: `${path}?dryRun=All`, body }, signal);
    // The holder may have renewed the lease in between: that is an answer, too.
    if (![200, 201, 409].includes(answer.status))
      throw refusal(answer, {
        verb: read.status === 200 ? 'update' : 'create',
        resource: LEASES,
        name,
        namespace,
      });
    writes.push(answer.ms);
  }
  return { writes, events: [], how: 'dryRun' };
}

/** When the event of each version came. */
class Events {
  readonly #came = new Map<string, number>();
  #awaited: { readonly version: string; readonly tell: (at: number) => void } | undefined;

  came(version: string): void {
    const at = systemClock.now();
    this.#came.set(version, at);
    if (this.#awaited?.version === version) this.#awaited.tell(at);
  }

  /** Undefined if it does not come in time. */
  async next(version: string): Promise<number | undefined> {
    const known = this.#came.get(version);
    if (known !== undefined) return known;
    return new Promise((resolve) => {
      const disarm = systemClock.setTimer(EVENT_WITHIN_MS, () => {
        resolve(undefined);
      });
      this.#awaited = {
        version,
        tell: (at) => {
          disarm();
          resolve(at);
        },
      };
    });
  }
}
