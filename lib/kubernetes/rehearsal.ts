import {
  LeaseElector,
  SystemClock,
  onAbort,
  pause,
  resolveElectionOptions,
  type LeaseLock,
} from '../election/internal.js';
import type { ApiConnection, ApiResponse } from './api-connection.js';
import { LEASE_KIND } from './lease-object.js';

/** The delay after a watch has opened. By then the process has started, and the rehearsal delays no election. */
const AFTER_MS = 1_000;
/** Then V8 has compiled what runs, and no longer interprets it. A round takes a millisecond. */
const ROUNDS = 25;
/** Between rounds other work goes on. */
const GAP_MS = 20;

const NAME = 'rehearsal';
const LONG_BEFORE = '2000-01-01T00:00:00.000000Z';

/** The address of the Lease in memory. */
export const REHEARSED = { name: NAME, namespace: NAME, labels: {} } as const;

let rehearsal: Promise<void> | undefined;

/**
 * Rehearses take-overs and hand-overs, once per process, on Leases that exist in memory only. V8 compiles code when it has
 * run often, and a follower may wait for days for the event that it must answer at once. No request is sent, and no
 * observer is called.
 *
 * @param signal cancels the rehearsal; if it has not begun, the next watch starts another.
 */
export function rehearseOnce(lockOn: (connection: ApiConnection) => LeaseLock, signal: AbortSignal): void {
  const clock = new SystemClock();
  rehearsal ??= pause(clock, AFTER_MS, signal).then(async () => {
    if (signal.aborted) rehearsal = undefined;
    for (let round = 0; round < ROUNDS && !signal.aborted; round += 1) {
      await rehearse(lockOn, signal);
      await pause(clock, GAP_MS, signal);
    }
  });
}

/** Takes over and hands over. See {@link rehearseOnce}. */
export async function rehearse(
  lockOn: (connection: ApiConnection) => LeaseLock,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const ignore = onAbort(signal, () => {
    stop.abort();
  });
  const options = resolveElectionOptions(
    { leaseName: NAME },
    { leaseNamespace: NAME, identity: 'the next leader' },
  );
  const elector = new LeaseElector({ lock: lockOn(new LeaseInMemory()), options });
  await elector.run(stop.signal, ({ type }) => {
    if (type === 'startedLeading') stop.abort();
  });
  ignore();
}

/** An API server with one Lease, whose holder gives it up as soon as a watch has shown it. */
class LeaseInMemory implements ApiConnection {
  #version = 1;
  #lease = this.#stored({
    spec: {
      holderIdentity: 'the last leader',
      leaseDurationSeconds: 15,
      acquireTime: LONG_BEFORE,
      renewTime: LONG_BEFORE,
      leaseTransitions: 0,
    },
  });

  request({ body }: { readonly body?: unknown }): Promise<ApiResponse> {
    if (body !== undefined) this.#lease = this.#stored(body as object);
    return Promise.resolve({ status: 200, headers: {}, text: JSON.stringify(this.#lease) });
  }

  stream(_path: string, signal: AbortSignal): ReturnType<ApiConnection['stream']> {
    const events = this.#events(signal);
    return Promise.resolve({ statusCode: 200, headers: {}, [Symbol.asyncIterator]: () => events });
  }

  async *#events(signal: AbortSignal): AsyncGenerator<Buffer> {
    yield this.#event();
    this.#lease = this.#stored({
      spec: {
        holderIdentity: '',
        leaseDurationSeconds: 1,
        acquireTime: '2000-01-01T00:00:01.000000Z',
        renewTime: '2000-01-01T00:00:01.000000Z',
        leaseTransitions: 0,
      },
    });
    yield this.#event();
    await new Promise<void>((resolve) => onAbort(signal, resolve));
  }

  #event(): Buffer {
    return Buffer.from(`${JSON.stringify({ type: 'MODIFIED', object: this.#lease })}\n`);
  }

  #stored(object: object): object {
    this.#version += 1;
    const metadata = { ...REHEARSED, uid: NAME, resourceVersion: String(this.#version) };
    return { ...LEASE_KIND, ...object, metadata };
  }
}
