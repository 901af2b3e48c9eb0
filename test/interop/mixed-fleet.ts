/** The timing of mixed fleets, and who led when. */
import { expect } from 'vitest';
import { LeaseElector, resolveElectionOptions, type LeadershipTerm } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { ClientGoContender, type Contender, type ContenderOptions } from '../rig/contender.js';
import type { RealApiServer } from '../rig/real-api-server.js';

/** Short, so that many hand-overs take minutes. */
export const TIMING = { leaseDuration: 3_000, renewDeadline: 2_000, retryPeriod: 500 };

/** An interval of leadership, on the machine's monotonic clock, in nanoseconds. */
export interface Reign {
  readonly who: string;
  readonly from: bigint;
  readonly until: bigint;
}

/** The other implementation; default: client-go's. */
export interface Peer {
  start(options: Required<ContenderOptions>): Promise<Contender>;
  /** Its first message when it no longer leads. On SIGTERM client-go's context has ended when it releases. */
  readonly ends: 'releasing' | 'stopped';
}

const CLIENT_GO: Peer = { start: (options) => ClientGoContender.start(options), ends: 'releasing' };

/** One of our electors, in this process. */
export interface OurContender {
  readonly term: Promise<LeadershipTerm>;
  /** When it began to lead. */
  readonly began: Promise<bigint>;
  /** It has seen a leader. */
  readonly follows: Promise<void>;
  /** Hands over, if it leads. */
  end(): Promise<void>;
}

/** Our electors and those of another implementation on one Lease of a real API server, and the record of who led it when. */
export class MixedFleet {
  readonly lease: string;
  readonly reigns: Reign[] = [];
  readonly #server: RealApiServer;
  readonly #kubeconfig: string;
  readonly #timing: typeof TIMING;
  readonly #peer: Peer;

  constructor(
    server: RealApiServer,
    kubeconfig: string,
    lease: string,
    timing: typeof TIMING = TIMING,
    peer: Peer = CLIENT_GO,
  ) {
    this.#server = server;
    this.#kubeconfig = kubeconfig;
    this.lease = lease;
    this.#timing = timing;
    this.#peer = peer;
  }

  /** The path of the Lease on the API server. */
  get path(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/default/leases/${this.lease}`;
  }

  async spec(): Promise<Record<string, unknown>> {
    const { json } = await this.#server.client.demand('GET', this.path);
    return (json as { spec: Record<string, unknown> }).spec;
  }

  /** When the record expires for a candidate that saw it as soon as it was written. Wall clock. */
  async expiresAt(): Promise<number> {
    return Date.parse(String((await this.spec())['renewTime'])) + this.#timing.leaseDuration;
  }

  startOurs(identity: string): OurContender {
    const connection = new KubernetesConnection({ kubeconfigFile: this.#kubeconfig });
    const elector = new LeaseElector({
      lock: new KubernetesLeaseLock(connection, { name: this.lease, namespace: 'default', labels: {} }),
      options: resolveElectionOptions(
        { leaseName: this.lease, ...this.#timing },
        { leaseNamespace: 'default', identity },
      ),
    });
    const stop = new AbortController();
    let sees: () => void = () => undefined;
    const follows = new Promise<void>((resolve) => {
      sees = resolve;
    });
    let begins: (at: bigint) => void = () => undefined;
    const began = new Promise<bigint>((resolve) => {
      begins = resolve;
    });
    let run: Promise<void> = Promise.resolve();
    const term = new Promise<LeadershipTerm>((resolve) => {
      run = elector.run(stop.signal, (event) => {
        if (event.type === 'newLeader') sees();
        if (event.type !== 'startedLeading') return;
        const from = process.hrtime.bigint();
        begins(from);
        event.term.signal.addEventListener('abort', () => {
          this.reigns.push({ who: identity, from, until: process.hrtime.bigint() });
        });
        resolve(event.term);
      });
    });
    const end = async (): Promise<void> => {
      stop.abort();
      await run;
      connection.close();
    };
    return { term, began, follows, end };
  }

  startTheirs(identity: string, peer = this.#peer): Promise<Contender> {
    return peer.start({
      kubeconfig: this.#kubeconfig,
      namespace: 'default',
      lease: this.lease,
      identity,
      leaseDurationMs: this.#timing.leaseDuration,
      renewDeadlineMs: this.#timing.renewDeadline,
      retryPeriodMs: this.#timing.retryPeriod,
    });
  }

  /** Stops one of theirs, which leads since `from`; returns when it ended. */
  async stopTheirs(theirs: Contender, from: bigint, { ends } = this.#peer): Promise<bigint> {
    await theirs.stop();
    const { monotonicNs } = await theirs.said(ends, from);
    this.reigns.push({ who: theirs.identity, from, until: monotonicNs });
    return monotonicNs;
  }

  /** Kills one of theirs, which leads since `from`; returns when it was dead. */
  async killTheirs(theirs: Contender, from: bigint): Promise<bigint> {
    await theirs.kill();
    const until = process.hrtime.bigint();
    this.reigns.push({ who: theirs.identity, from, until });
    return until;
  }

  /** Expects this many terms, and never two at the same time. */
  expectOneAtATime(count: number): void {
    const inOrder = this.reigns.toSorted((a, b) => (a.from < b.from ? -1 : 1));
    expect(inOrder).toHaveLength(count);
    for (const [index, reign] of inOrder.slice(1).entries()) {
      const before = inOrder[index] as Reign;
      expect(reign.from >= before.until, `${before.who} and ${reign.who} on ${this.lease}`).toBe(true);
    }
  }
}
