/** Our electors and client-go's on one Lease: handed back and forth, never two leaders, each understanding the other's records. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LeaseElector, resolveElectionOptions, type LeadershipTerm } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { ClientGoContender } from '../rig/contender.js';
import { RealApiServer } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';

const HANDOVERS = 10;
const TIMING = { leaseDuration: 6_000, renewDeadline: 4_000, retryPeriod: 1_000 };
const found = findServers();

interface Interval {
  readonly who: string;
  readonly from: bigint;
  until: bigint;
}

if (!found.available) {
  describe('a fleet mixed with client-go', () => {
    it(`is not tested here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('a fleet mixed with client-go', () => {
    let server: RealApiServer;
    let kubeconfig: string;
    const intervals: Interval[] = [];

    beforeAll(async () => {
      server = await RealApiServer.start();
      kubeconfig = await server.writeKubeconfig();
    });
    afterAll(async () => {
      await server.stop();
    });

    const specOf = async (lease: string): Promise<Record<string, unknown>> => {
      const path = `/apis/coordination.k8s.io/v1/namespaces/default/leases/${lease}`;
      const { json } = await server.client.demand('GET', path);
      return (json as { spec: Record<string, unknown> }).spec;
    };

    const startOurs = (lease: string, identity: string) => {
      const connection = new KubernetesConnection({ kubeconfigFile: kubeconfig });
      const elector = new LeaseElector({
        lock: new KubernetesLeaseLock(connection, { name: lease, namespace: 'default', labels: {} }),
        options: resolveElectionOptions(
          { leaseName: lease, ...TIMING },
          { leaseNamespace: 'default', identity },
        ),
      });
      const stop = new AbortController();
      let leads: (term: LeadershipTerm) => void = () => undefined;
      let sees: () => void = () => undefined;
      const term = new Promise<LeadershipTerm>((resolve) => {
        leads = resolve;
      });
      const follows = new Promise<void>((resolve) => {
        sees = resolve;
      });
      const run = elector.run(stop.signal, (event) => {
        if (event.type === 'newLeader') sees();
        if (event.type !== 'startedLeading') return;
        const interval = { who: identity, from: process.hrtime.bigint(), until: 0n };
        intervals.push(interval);
        event.term.signal.addEventListener('abort', () => {
          interval.until = process.hrtime.bigint();
        });
        leads(event.term);
      });
      const end = async (): Promise<void> => {
        stop.abort();
        await run;
        connection.close();
      };
      return { term, follows, end };
    };

    const startTheirs = (lease: string, identity: string): Promise<ClientGoContender> =>
      ClientGoContender.start({
        kubeconfig,
        namespace: 'default',
        lease,
        identity,
        leaseDurationMs: TIMING.leaseDuration,
        renewDeadlineMs: TIMING.renewDeadline,
        retryPeriodMs: TIMING.retryPeriod,
      });

    it(`hands over ${String(HANDOVERS)} times each way, with client-go's records field by field`, async () => {
      const lease = 'handed-over';
      let theirs = await startTheirs(lease, 'go-0');
      let since = (await theirs.said('started')).monotonicNs;
      for (let round = 1; round <= HANDOVERS; round += 1) {
        const ours = startOurs(lease, `ours-${String(round)}`);
        await ours.follows;
        await theirs.stop();
        intervals.push({
          who: theirs.identity,
          from: since,
          until: (await theirs.said('stopped')).monotonicNs,
        });
        await ours.term;
        expect(await specOf(lease)).toMatchObject({
          holderIdentity: `ours-${String(round)}`,
          leaseDurationSeconds: 6,
          leaseTransitions: 2 * round - 1,
        });

        theirs = await startTheirs(lease, `go-${String(round)}`);
        await theirs.said('leader');
        const stopping = process.hrtime.bigint();
        await ours.end();
        since = (await theirs.said('started', stopping)).monotonicNs;
        const { acquireTime, renewTime, ...spec } = await specOf(lease);
        expect(spec).toEqual({
          holderIdentity: `go-${String(round)}`,
          leaseDurationSeconds: 6,
          leaseTransitions: 2 * round,
        });
        for (const time of [acquireTime, renewTime]) expect(time).toMatch(/^\d{4}-.*\.\d{6}Z$/);
      }
      await theirs.stop();
    });

    it('takes over from a client-go leader that was killed, no earlier than its lease ran out', async () => {
      const lease = 'killed';
      const theirs = await startTheirs(lease, 'go-killed');
      await theirs.said('started');
      const ours = startOurs(lease, 'ours-after-kill');
      await ours.follows;
      await theirs.kill();
      const { renewTime } = await specOf(lease);
      const term = await ours.term;
      // Both times were read off this machine's wall clock.
      expect(term.startedAt).toBeGreaterThanOrEqual(Date.parse(String(renewTime)) + TIMING.leaseDuration);
      await ours.end();
    });

    it('never had two leaders on the lease that was handed over', () => {
      const inOrder = intervals
        .filter(({ who }) => /^(go-\d|ours-\d)/.test(who))
        .sort((a, b) => Number(a.from - b.from));
      expect(inOrder).toHaveLength(2 * HANDOVERS);
      for (const [index, interval] of inOrder.slice(1).entries()) {
        const before = inOrder[index] as Interval;
        expect(interval.from >= before.until, `${before.who} and ${interval.who}`).toBe(true);
      }
    });
  });
}
