/** Only the leader's path to the API server fails. In this case client-go may have two leaders, and we have none. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { violationsIn, type Claim } from '../../sample-app/demo/check-claims.js';
import { ClientGoContender } from '../rig/contender.js';
import { FaultProxy } from '../rig/fault-proxy.js';
import { scratchFolder } from '../rig/guard.js';
import { onRealApiServer, type Stage } from './on-real-api-server.js';
import { BRISK, CALM } from './replica-fleet.js';
import { machineNow } from './replica/messages.js';

/** The timing of the comparison with client-go: its proportions, but shorter. */
const TRIALS = 3;
const TIMING = { leaseDuration: 6_000, renewDeadline: 4_000, retryPeriod: 1_000 };

onRealApiServer("the leader's path", {}, (stage) => {
  it.each([
    [
      'stalls',
      (proxy: FaultProxy) => {
        proxy.stall();
      },
    ],
    [
      'drops replies after the API server has committed the requests',
      (proxy: FaultProxy) => {
        proxy.stall('replies');
      },
    ],
    [
      'holds requests',
      (proxy: FaultProxy) => {
        proxy.stall('requests');
      },
    ],
    [
      'is cut',
      (proxy: FaultProxy) => {
        proxy.cut();
      },
    ],
  ])('%s: it stops before another leads, and follows when the path has recovered', async (_, fail) => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    leader.order({ do: 'work', drainMs: 0 });
    await leader.worked('started');
    const failedAt = machineNow();
    fail(leader.proxy);
    const next = await fleet.nextTerm(failedAt, leader);
    expect(await leader.claimEnded(claim)).toMatchObject({ reason: 'deadline' });
    leader.proxy.heal();
    await leader.told('leader', ({ identity }) => identity === next.replica);
    await fleet.expectSound();
  });

  it.each([
    [
      'half-open: a connection that stays silent costs one attempt',
      (proxy: FaultProxy) => {
        proxy.halfOpen();
      },
    ],
    [
      'slows down',
      (proxy: FaultProxy) => {
        proxy.delay(200);
      },
    ],
  ])('%s, not the term', async (_, fail) => {
    const fleet = await stage.fleet(2, CALM, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    leader.order({ do: 'work', drainMs: 0 });
    await leader.worked('started');
    fail(leader.proxy);
    await fleet.renewed(claim);
    await fleet.renewed(claim);
    expect((await fleet.leader()).claim.token).toBe(claim.token);
    leader.proxy.heal();
    await fleet.expectSound();
  });

  it('delivers a reply late: the renewal counts from its sending, not from its reply', async () => {
    const fleet = await stage.fleet(2, { ...BRISK, renewInterval: 200 });
    const { replica: leader, claim } = await fleet.leader();
    await leader.proxy.holdReply();
    // The validity before it is nearly over when this reply comes, and no other reply comes after it.
    const { until } = fleet.reported(claim) ?? claim;
    await leader.told('looked', ({ at }) => at > until - 300);
    leader.proxy.heal();
    leader.proxy.stall();
    await fleet.nextTerm(claim.from, leader);
    await leader.claimEnded(claim);
    leader.proxy.heal();
    await fleet.expectSound();
  });

  it(`stalls ${String(TRIALS)} times for client-go, which releases on cancel, and for us: two leaders, and never`, async () => {
    const theirs: string[][] = [];
    for (let trial = 1; trial <= TRIALS; trial += 1) {
      const lease = `client-go-${String(trial)}`;
      const [violations] = await Promise.all([clientGoTrial(stage, lease), ourTrial(stage)]);
      theirs.push(violations);
    }
    expect(theirs.join()).toMatch(/both led/);
  });
});

async function ourTrial(stage: Stage): Promise<void> {
  const fleet = await stage.fleet(2, TIMING);
  const { replica: leader, claim } = await fleet.leader();
  leader.proxy.stall();
  await fleet.nextTerm(machineNow(), leader);
  await leader.claimEnded(claim);
  leader.proxy.heal();
  await fleet.expectSound();
}

/** The faults in the reports of client-go's candidates. */
async function clientGoTrial({ server }: Stage, lease: string): Promise<string[]> {
  const folder = await scratchFolder('client-go');
  const proxies: FaultProxy[] = [];
  const start = async (identity: string): Promise<ClientGoContender> => {
    const proxy = await FaultProxy.start(server.url);
    proxies.push(proxy);
    const kubeconfig = join(folder, `${identity}.json`);
    await writeFile(kubeconfig, server.kubeconfig({ server: proxy.url }));
    return ClientGoContender.start({
      kubeconfig,
      namespace: 'default',
      lease,
      identity,
      leaseDurationMs: TIMING.leaseDuration,
      renewDeadlineMs: TIMING.renewDeadline,
      retryPeriodMs: TIMING.retryPeriod,
      releaseOnCancel: true,
    });
  };
  const leader = await start('go-leader');
  const led = await leader.said('started');
  const follower = await start('go-follower');
  await follower.said('leader');
  proxies[0]?.stall();
  const next = await follower.said('started');
  const stopped = await leader.said('stopped');
  await Promise.all([leader.kill(), follower.kill()]);
  await Promise.all(proxies.map((proxy) => proxy.stop()));
  const claims: Claim[] = [
    { replica: leader.identity, token: 1n, from: ms(led.monotonicNs), until: ms(stopped.monotonicNs) },
    { replica: follower.identity, token: 2n, from: ms(next.monotonicNs), until: machineNow() },
  ];
  return violationsIn({ claims, jobs: [], looks: [] });
}

function ms(ns: bigint): number {
  return Number(ns) / 1e6;
}
