import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { systemClock, type Attendant, type ElectionEvent, type Elector } from '../../election/internal.js';
import type { Access } from '../access.js';
import { bareHost } from '../addresses.js';
import type { KubernetesConnection } from '../connection.js';
import { KubernetesLeaseLock } from '../kubernetes-lease-lock.js';
import { heedSignals, ignoreSignals } from './last-signals.js';
import { sendAtExit, type LastUpdates } from './send-at-exit.js';

/** The elections of this process. */
const running = new Set<ReleaseAtExit>();
/** Those that lead. */
const leading = new Set<ReleaseAtExit>();

/**
 * Releases the leases of an election when the process exits: by an uncaught exception, an unhandled rejection, `process.exit()`, or
 * a signal that nothing else listens for. From then on no JavaScript of this thread runs except in listeners of `exit`, and
 * these find the term over: it ends before the release is sent. Whatever the release meets, the process exits as it would
 * have, at most half a second later; if it fails, the lease expires.
 *
 * All elections of a process are released at once. Not known here: work of the term in other threads and processes.
 */
export class ReleaseAtExit implements Attendant {
  readonly #elector: Pick<Elector, 'endAtExit'>;
  readonly #connection: KubernetesConnection;
  /** The host that was looked up, and its addresses. */
  #found: { readonly host: string; readonly addresses: readonly LookupAddress[] } | undefined;

  constructor(elector: Pick<Elector, 'endAtExit'>, connection: KubernetesConnection) {
    this.#elector = elector;
    this.#connection = connection;
  }

  start(): void {
    if (running.size === 0) process.on('exit', releaseAll);
    running.add(this);
  }

  onEvent(event: ElectionEvent): void {
    if (event.type === 'startedLeading') {
      void this.#lookUp();
      leading.add(this);
      if (leading.size === 1) heedSignals(releaseAll);
    } else if (event.type === 'stoppedLeading') this.#leadsNoMore();
  }

  stop(): void {
    this.#leadsNoMore();
    running.delete(this);
    if (running.size === 0) process.off('exit', releaseAll);
  }

  #leadsNoMore(): void {
    if (leading.delete(this) && leading.size === 0) ignoreSignals();
  }

  /** Ends the term, and returns what is to be sent. */
  end(): LastUpdates | undefined {
    const releases = this.#elector.endAtExit?.() ?? [];
    const access = this.#connection.lastAccess;
    const addresses = access && this.#addressesFor(access);
    if (access === undefined || addresses === undefined) return undefined;
    const updates = releases.flatMap(({ lock, base, record }) => {
      if (!(lock instanceof KubernetesLeaseLock)) return [];
      const { holderIdentity, acquireTime } = base.record;
      return [{ ...lock.requestToUpdate(base, record), holder: { holderIdentity, acquireTime } }];
    });
    return updates.length === 0 ? undefined : { access, addresses, updates };
  }

  /** Undefined if the host cannot be reached without a look-up, or only by SOCKS, which needs client-node. */
  #addressesFor(access: Access): readonly LookupAddress[] | undefined {
    if (access.route.proxy?.protocol.startsWith('socks') === true) return undefined;
    const host = firstHost(access);
    if (isIP(host) > 0) return [];
    return this.#found?.host === host ? this.#found.addresses : undefined;
  }

  /** Never rejects. */
  async #lookUp(): Promise<void> {
    const access = this.#connection.lastAccess;
    const host = access && firstHost(access);
    if (host === undefined || isIP(host) > 0) return;
    try {
      this.#found = { host, addresses: await lookup(host, { all: true }) };
    } catch {
      // What was found last may still be right.
    }
  }
}

/** The host to connect to: the proxy's, or the server's. */
function firstHost({ server, route }: Access): string {
  return bareHost((route.proxy ?? new URL(server)).hostname);
}

/** Errors are not reported: the process prints what it exits for, and nothing else. */
function releaseAll(): void {
  const since = systemClock.now();
  const byAccess = new Map<Access, LastUpdates>();
  try {
    endingAsItWould(() => {
      for (const each of running) {
        const last = each.end();
        if (last === undefined) continue;
        const updates = [...(byAccess.get(last.access)?.updates ?? []), ...last.updates];
        byAccess.set(last.access, { ...last, updates });
      }
    });
    if (byAccess.size > 0) sendAtExit([...byAccess.values()], since);
  } catch {
    // The leases expire.
  }
}

/**
 * Calls `act`, which calls listeners of the terms' signals. If one of them calls `process.exit()` or sets an exit code, as some do when
 * they lose the lead, that has no effect: the process exits already, and its lease must be released.
 */
function endingAsItWould(act: () => void): void {
  // `process.exit()` calls this. Programs that replace it are so common that Node keeps it.
  const ending = process as unknown as { reallyExit: (code: number) => void };
  const { exitCode } = process;
  const { reallyExit } = ending;
  ending.reallyExit = () => {
    throw new Error('The process exits already.');
  };
  try {
    act();
  } finally {
    ending.reallyExit = reallyExit;
    process.exitCode = exitCode;
  }
}
