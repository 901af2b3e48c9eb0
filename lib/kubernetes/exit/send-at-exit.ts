import type { LookupAddress } from 'node:dns';
import type { AgentOptions } from 'node:https';
import tls from 'node:tls';
import { Worker } from 'node:worker_threads';
import { after, systemClock, type MonotonicMs } from '../../election/internal.js';
import type { Access } from '../access.js';
import { addressOfProxy, authorizationOf } from '../proxy-tunnel.js';
import { threadSource, type Cargo, type LastUpdate, type Parcel } from './exit-thread.js';

/** How long to wait for the answers. The rest of half a second is for the end of the thread. */
const LONGEST_WAIT_MS = 450;

/** Conditional updates of Leases over one route. */
export interface LastUpdates {
  readonly access: Access;
  /** The addresses of the host to connect to, if that is a name: the exit of a process would wait for a look-up that hangs. */
  readonly addresses: readonly LookupAddress[];
  readonly updates: readonly LastUpdate[];
}

/**
 * Sends updates while the event loop of this thread does not run, and waits for the answers. A thread of its own sends them. It
 * starts sooner than a process would, and the credentials do not leave this process. If it cannot start, nothing is sent.
 *
 * @param since when the delay of the exit began, by the system's clock. It lasts half a second at most, whether or not the
 * API server answers.
 */
export function sendAtExit(all: readonly LastUpdates[], since: MonotonicMs): void {
  const done = new Int32Array(new SharedArrayBuffer(4));
  startSending(all, done);
  Atomics.wait(done, 0, 0, Math.max(0, after(since, LONGEST_WAIT_MS) - systemClock.now()));
}

/** Starts the thread. @param done becomes 1 when everything has been answered or has failed. */
export function startSending(all: readonly LastUpdates[], done: Int32Array): Worker {
  const cargo: Cargo = { done, parcels: all.map(parcelOf) };
  // Without the preloads of this process, which take time.
  return new Worker(threadSource(), { eval: true, workerData: cargo, execArgv: [], env: {} });
}

function parcelOf({ access, addresses, updates }: LastUpdates): Parcel {
  const { server, headers, route } = access;
  return {
    server,
    headers,
    tls: withDefaults(route.tls as AgentOptions),
    addresses,
    proxy: route.proxy && parcelProxyOf(route.proxy),
    updates,
  };
}

function parcelProxyOf(proxy: URL): Parcel['proxy'] {
  const address = addressOfProxy(proxy);
  return {
    ...address,
    headers: authorizationOf(proxy),
    tls: address.isSecure ? withDefaults({}) : {},
  };
}

/** The options of a TLS connection, with the defaults of this thread: another thread does not know what was set here. */
function withDefaults(options: AgentOptions): AgentOptions {
  return {
    minVersion: tls.DEFAULT_MIN_VERSION,
    maxVersion: tls.DEFAULT_MAX_VERSION,
    ciphers: tls.DEFAULT_CIPHERS,
    ...options,
    ca: options.ca ?? authoritiesSetHere(),
  };
}

/** The authorities to trust by default, if some of them are neither Node's own nor those of `NODE_EXTRA_CA_CERTS`, which every thread trusts. */
function authoritiesSetHere(): string[] | undefined {
  // Node has this since 22.15.
  const { getCACertificates } = tls as { getCACertificates?: (type?: string) => string[] };
  if (getCACertificates === undefined) return undefined;
  const trusted = getCACertificates();
  const everywhere = new Set([...getCACertificates('bundled'), ...getCACertificates('extra')]);
  return trusted.every((certificate) => everywhere.has(certificate)) ? undefined : trusted;
}
