/** Our electors and client-go's on one Lease of a real API server, and who led it when. */
import { expect } from 'vitest';
import { LeaseElector, resolveElectionOptions, type LeadershipTerm } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { ClientGoContender } from '../rig/contender.js';
import type { RealApiServer } from '../rig/real-api-server.js';

/** Short, so that many hand-overs take minutes. */
export const TIMING = { leaseDuration: 3_000, renewDeadline: 2_000, retryPeriod: 500 };

/** Who led, on the machine's monotonic clock, in nanoseconds. */
export interface Reign {
  readonly who: string;
  readonly from: bigint;
  readonly until: bigint;
}

/** One of ours, in this process. */
export interface OurContender {
  readonly term: Promise<LeadershipTerm>;
  /** It has seen who leads. */
  readonly follows: Promise<void>;
  /** Hands over, if it leads. */
  end(): Promise<void>;
}

/** See the head of the file. */
export class MixedFleet {
  readonly lease: string;
  readonly reigns: Reign[] = [];
  readonly #server: RealApiServer;
  readonly #kubeconfig: string;

  constructor(server: RealApiServer, kubeconfig: string, lease: string) {
    this.#server = server;
    this.#kubeconfig = kubeconfig;
    this.lease = lease;
  }

  async spec(): Promise<Record<string, unknown>> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/default/leases/${this.lease}`;
    const { json } = await this.#server.client.demand('GET', path);
    return (json as { spec: Record<string, unknown> }).spec;
  }

  /** When the record runs out for whoever saw it as it was written, wall clock. */
  async expiresAt(): Promise<number> {
    return Date.parse(String((await this.spec())['renewTime'])) + TIMING.leaseDuration;
  }

  startOurs(identity: string): OurContender {
    const connection = new KubernetesConnection({ kubeconfigFile: this.#kubeconfig });
    const elector = new LeaseElector({
      lock: new KubernetesLeaseLock(connection, { name: this.lease, namespace: 'default', labels: {} }),
      options: resolveElectionOptions(
        { leaseName: this.lease, ...TIMING },
        { leaseNamespace: 'default', identity },
      ),
    });
    const stop = new AbortController();
    let sees: () => void = () => undefined;
    const follows = new Promise<void>((resolve) => {
      sees = resolve;
    });
    let run: Promise<void> = Promise.resolve();
    const term = new Promise<LeadershipTerm>((resolve) => {
      run = elector.run(stop.signal, (event) => {
        if (event.type === 'newLeader') sees();
        if (event.type !== 'startedLeading') return;
        const from = process.hrtime.bigint();
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
    return { term, follows, end };
  }

  startTheirs(identity: string): Promise<ClientGoContender> {
    return ClientGoContender.start({
      kubeconfig: this.#kubeconfig,
      namespace: 'default',
      lease: this.lease,
      identity,
      leaseDurationMs: TIMING.leaseDuration,
      renewDeadlineMs: TIMING.renewDeadline,
      retryPeriodMs: TIMING.retryPeriod,
    });
  }

  /** One of theirs, which leads since `from`, is stopped, and releases: its context is over, but `OnStoppedLeading` comes later. */
  async stopTheirs(theirs: ClientGoContender, from: bigint): Promise<void> {
    await theirs.stop();
    const { monotonicNs } = await theirs.said('releasing');
    this.reigns.push({ who: theirs.identity, from, until: monotonicNs });
  }

  /** So many led, and never two at one time. */
  expectOneAtATime(count: number): void {
    const inOrder = this.reigns.toSorted((a, b) => (a.from < b.from ? -1 : 1));
    expect(inOrder).toHaveLength(count);
    for (const [index, reign] of inOrder.slice(1).entries()) {
      const before = inOrder[index] as Reign;
      expect(reign.from >= before.until, `${before.who} and ${reign.who} on ${this.lease}`).toBe(true);
    }
  }
}
