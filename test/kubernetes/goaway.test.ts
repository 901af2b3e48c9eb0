/** A real kube-apiserver that sends GOAWAY again and again, as many do to spread their clients, affects no election. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  LeaseElector,
  resolveElectionOptions,
  type ElectionEvent,
  type LeadershipTerm,
} from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { FaultProxy } from '../rig/fault-proxy.js';
import { RealApiServer } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';

const found = findServers();
const LEASES = ['one', 'two', 'three'];
/** How many connections must have been replaced. */
const REPLACED = 5;

/** A process with an election on each lease. */
class Replica {
  readonly connection: KubernetesConnection;
  readonly stop = new AbortController();
  readonly events: ElectionEvent[] = [];
  readonly electors: LeaseElector[];
  readonly #runs: Promise<void>[];
  #look: () => void = () => undefined;

  constructor(identity: string, server: RealApiServer, url: string) {
    this.connection = new KubernetesConnection({
      server: url,
      token: 'admin-token',
      certificateAuthority: server.ca,
    });
    this.electors = LEASES.map((leaseName) => {
      const lock = new KubernetesLeaseLock(this.connection, {
        name: leaseName,
        namespace: 'default',
        labels: {},
      });
      const options = resolveElectionOptions({ leaseName }, { leaseNamespace: 'default', identity });
      return new LeaseElector({ lock, options });
    });
    this.#runs = this.electors.map((elector) =>
      elector.run(this.stop.signal, (event) => {
        this.events.push(event);
        this.#look();
      }),
    );
  }

  of<T extends ElectionEvent['type']>(type: T): Extract<ElectionEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<ElectionEvent, { type: T }> => event.type === type);
  }

  get terms(): LeadershipTerm[] {
    return this.of('startedLeading').map(({ term }) => term);
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo())
      await new Promise<void>((resolve) => {
        this.#look = resolve;
      });
  }

  async end(): Promise<void> {
    this.stop.abort();
    await Promise.all(this.#runs);
    this.connection.close();
  }
}

describe('an API server that sends GOAWAY', () => {
  if (!found.available) {
    it(`is not tested here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
    return;
  }
  let server: RealApiServer;
  let proxy: FaultProxy;
  beforeAll(async () => {
    server = await RealApiServer.start({ goawayChance: 0.02 });
    proxy = await FaultProxy.start(server.url);
  });
  afterAll(async () => {
    await proxy.stop();
    await server.stop();
  });

  it('costs no term, no request and no line in the log', async () => {
    const leader = new Replica('leader', server, proxy.url);
    await leader.until(() => leader.terms.length === LEASES.length);
    const follower = new Replica('follower', server, proxy.url);
    await follower.until(() => follower.of('newLeader').length === LEASES.length);
    const { connections } = proxy;
    expect(connections).toBeGreaterThanOrEqual(2);
    // The leader's reads run besides the renewals and the watches of both processes.
    while (proxy.connections < connections + REPLACED)
      await Promise.all(leader.terms.map((term) => term.confirm()));
    expect(leader.of('stoppedLeading')).toEqual([]);
    await leader.end();
    // Its watches show the releases, whatever happened to the connections.
    await follower.until(() => follower.terms.length === LEASES.length);
    await follower.end();
    for (const { events } of [leader, follower])
      expect(events.filter(({ type }) => type === 'error')).toEqual([]);
  });
});
