import type { LookupAddress } from 'node:dns';
import type { AgentOptions } from 'node:https';
import { Worker } from 'node:worker_threads';
import type { Access } from '../access.js';
import { addressOfProxy, authorizationOf } from '../proxy-tunnel.js';
import { threadSource, type Cargo, type LastUpdate, type Parcel } from './exit-thread.js';

/** How long the exit of the process may be delayed, whether or not the API server answers. */
const LONGEST_DELAY_MS = 500;

/** Conditional updates of Leases over one route. */
export interface LastUpdates {
  readonly access: Access;
  /** The addresses of the host to connect to, if that is a name: the exit of a process would wait for a look-up that hangs. */
  readonly addresses: readonly LookupAddress[];
  readonly updates: readonly LastUpdate[];
}

/**
 * Sends updates while the event loop of this thread does not run, and waits for the answers, for half a second at most. A
 * thread of its own sends them. It starts sooner than a process would, and the credentials do not leave this process. If it
 * cannot start, nothing is sent.
 */
export function sendAtExit(all: readonly LastUpdates[]): void {
  const done = new Int32Array(new SharedArrayBuffer(4));
  startSending(all, done);
  Atomics.wait(done, 0, 0, LONGEST_DELAY_MS);
}

/** Starts the thread. @param done becomes 1 when everything has been answered or has failed. */
export function startSending(all: readonly LastUpdates[], done: Int32Array): Worker {
  const cargo: Cargo = { done, parcels: all.map(parcelOf) };
  // Without the preloads of this process, which take time.
  return new Worker(threadSource(), { eval: true, workerData: cargo, execArgv: [], env: {} });
}

function parcelOf({ access, addresses, updates }: LastUpdates): Parcel {
  const { server, headers, route } = access;
  const { proxy } = route;
  return {
    server,
    headers,
    tls: route.tls as AgentOptions,
    addresses,
    proxy: proxy && { ...addressOfProxy(proxy), headers: authorizationOf(proxy) },
    updates,
  };
}
