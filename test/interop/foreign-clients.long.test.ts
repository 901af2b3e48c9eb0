/**
 * Our electors and those of other languages on one Lease: hand-overs in both directions, and leaders that are killed. Each
 * client behaves as described here, and two never report that they lead.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ReplicaFleet } from '../processes/replica-fleet.js';
import { machineNow } from '../processes/replica/messages.js';
import type { Contender } from '../rig/contender.js';
import { findForeignClient, type ForeignClient } from '../rig/foreign-clients.js';
import { RealApiServer } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';
import { FOREIGN_RECORDS, type ForeignRecords, type Written } from './foreign-records.js';
import { MixedFleet, type OurContender, type Peer } from './mixed-fleet.js';

/** As short as the Python clients allow, which use whole seconds. */
const TIMING = { leaseDuration: 6_000, renewDeadline: 4_000, retryPeriod: 1_000 };
const HANDOVERS = 3;
/** The precision of a record's times. */
const ROUNDING_MS = 2;
const HOUR_MS = 3_600_000;
const NINE_HOURS_MS = 9 * HOUR_MS;

interface ForeignPeer extends Peer {
  readonly client: ForeignClient;
  /** After our release: whether it takes the lease at its next attempt, or waits as for an expired lease. */
  readonly takesRelease: 'at its next try' | 'when it has run out';
  /** Whether it keeps trying until the lease of a killed leader has expired. */
  readonly persists: boolean;
}

const AS_ALL = { ends: 'stopped', takesRelease: 'at its next try', persists: true } as const;

const PEERS: readonly Omit<ForeignPeer, 'start'>[] = [
  { ...AS_ALL, client: 'fabric8' },
  // Its flaws: it releases the lease before it calls its stop hook, when another may already lead, which no other client is
  // allowed to do; and it does not understand an empty holder.
  { ...AS_ALL, client: 'client-java', ends: 'releasing', takesRelease: 'when it has run out' },
  { ...AS_ALL, client: 'kubernetes' },
  { ...AS_ALL, client: 'kubernetes_asyncio' },
  { ...AS_ALL, client: 'kube-leader-election' },
  // It tries only three times.
  { ...AS_ALL, client: 'codedependant', persists: false },
];

const servers = findServers();

if (!servers.available) {
  describe('a fleet mixed with clients of other languages', () => {
    it(`is not tested here: ${servers.reason}`, () => {
      expect(servers.reason).not.toBe('');
    });
  });
} else {
  const searches = PEERS.map((peer) => ({ peer, search: findForeignClient(peer.client) }));
  const left = searches.flatMap(({ peer, search }) => (search.available ? [] : [{ ...peer, ...search }]));
  const peers = searches.flatMap(({ peer, search }) => (search.available ? [{ ...peer, ...search }] : []));

  describe('a fleet mixed with', () => {
    let server: RealApiServer;
    let kubeconfig: string;

    beforeAll(async () => {
      // One after the other, because each uses all processors.
      for (const peer of peers) await peer.install();
      server = await RealApiServer.start();
      kubeconfig = await server.writeKubeconfig();
    });
    afterAll(async () => {
      await server.stop();
    });
    const fleetOf = (purpose: string, peer: ForeignPeer): MixedFleet => {
      const lease = `${purpose}-${peer.client.replaceAll('_', '-')}`;
      return new MixedFleet(server, kubeconfig, lease, TIMING, peer);
    };

    it.each(left)('$client is not tested here: $reason', ({ reason }) => {
      expect(reason).not.toBe('');
    });

    it.concurrent.each(peers)('$client hands over to ours, and ours to it', async (peer) => {
      await handOver(fleetOf('handed-over', peer), peer);
    });

    it.concurrent.each(peers)('$client is killed', async (peer) => {
      await killTheirs(fleetOf('their-kill', peer));
    });

    it.concurrent.each(peers.filter(({ persists }) => persists))('$client outlives ours', async (peer) => {
      await killOurs(server, fleetOf('our-kill', peer));
    });

    // It writes local times and marks them as UTC.
    it.concurrent.each([
      { where: 'east', zone: 'EAST-9', ahead: NINE_HOURS_MS },
      { where: 'west', zone: 'WEST9', ahead: -NINE_HOURS_MS },
    ])('kubernetes_asyncio on a machine nine hours $where of Greenwich', async ({ where, zone, ahead }) => {
      const peer = peers.find(({ client }) => client === 'kubernetes_asyncio');
      if (peer === undefined) return;
      const there: ForeignPeer = {
        ...peer,
        start: (options) => peer.start({ ...options, env: { TZ: zone } }),
      };
      await outOfTime(fleetOf(where, there), ahead);
    });

    it('a late renewal of kube-leader-election after ours has taken over', async () => {
      await touchOurs(server, new MixedFleet(server, kubeconfig, 'touched', TIMING));
    });
  });
}

/** Ours and theirs take turns, each stopped gracefully; then theirs is alone. */
async function handOver(fleet: MixedFleet, peer: ForeignPeer): Promise<void> {
  const records: ForeignRecords = FOREIGN_RECORDS[peer.client];
  let theirs = await fleet.startTheirs('theirs-0');
  let since = (await theirs.said('started')).monotonicNs;
  expectWritten(await fleet.spec(), records.creates as Written, records, 'theirs-0', {});
  for (let round = 1; round <= HANDOVERS; round += 1) {
    const ours = fleet.startOurs(`ours-${String(round)}`);
    await ours.follows;
    const before = await fleet.spec();
    await takeTheirs(fleet, records, theirs, since, ours);
    await expectOurs(fleet, `ours-${String(round)}`, before);

    theirs = await fleet.startTheirs(`theirs-${String(round)}`);
    await theirs.said('leader');
    const held = await fleet.spec();
    const runsOutAt = await fleet.expiresAt();
    const stoppingNs = process.hrtime.bigint();
    await ours.end();
    since = (await theirs.said('started', stoppingNs)).monotonicNs;
    if (peer.takesRelease === 'at its next try') expect(toWall(since)).toBeLessThan(runsOutAt);
    expectWritten(await fleet.spec(), records.takesOver, records, theirs.identity, held);
  }
  const before = await fleet.spec();
  await fleet.stopTheirs(theirs, since);
  expectWritten(await fleet.spec(), records.releases ?? records.renews, records, theirs.identity, before);
  fleet.expectOneAtATime(2 * HANDOVERS + 1);
}

/** Theirs is stopped: ours leads at once, or when their last record has expired. */
async function takeTheirs(
  fleet: MixedFleet,
  { releases }: ForeignRecords,
  theirs: Contender,
  since: bigint,
  ours: OurContender,
): Promise<void> {
  const runsOutAt = await fleet.expiresAt();
  await fleet.stopTheirs(theirs, since);
  if (releases !== undefined) {
    expect(toWall(await ours.began)).toBeLessThan(runsOutAt);
    return;
  }
  const lastRunsOutAt = await fleet.expiresAt();
  expect(toWall(await ours.began)).toBeGreaterThanOrEqual(lastRunsOutAt - ROUNDING_MS);
}

async function killTheirs(fleet: MixedFleet): Promise<void> {
  const theirs = await fleet.startTheirs('theirs');
  const since = (await theirs.said('started')).monotonicNs;
  const ours = fleet.startOurs('ours');
  await ours.follows;
  await fleet.killTheirs(theirs, since);
  const runsOutAt = await fleet.expiresAt();
  expect(toWall(await ours.began)).toBeGreaterThanOrEqual(runsOutAt - ROUNDING_MS);
  await ours.end();
  fleet.expectOneAtATime(2);
}

/** Theirs writes times that are wrong by this much: ours waits for its lease as usual, and writes its own times. */
async function outOfTime(fleet: MixedFleet, aheadMs: number): Promise<void> {
  const isNear = (spec: Record<string, unknown>, at: number): boolean =>
    ['acquireTime', 'renewTime'].every((name) => Math.abs(Date.parse(String(spec[name])) - at) < HOUR_MS);
  const theirs = await fleet.startTheirs('theirs');
  const since = (await theirs.said('started')).monotonicNs;
  expect(await fleet.spec()).toSatisfy((spec: Record<string, unknown>) => isNear(spec, Date.now() + aheadMs));
  const ours = fleet.startOurs('ours');
  await ours.follows;
  await fleet.killTheirs(theirs, since);
  const runsOutAt = (await fleet.expiresAt()) - aheadMs;
  expect(toWall(await ours.began)).toBeGreaterThanOrEqual(runsOutAt - ROUNDING_MS);
  expect(await fleet.spec()).toSatisfy((spec: Record<string, unknown>) => isNear(spec, Date.now()));
  await ours.end();
  const released = await fleet.spec();
  expect(released).toMatchObject({ holderIdentity: '' });
  expect(released).toSatisfy((spec: Record<string, unknown>) => isNear(spec, Date.now()));
  fleet.expectOneAtATime(2);
}

/** The request of a holder that was paused while ours took over. As in its source, it has neither a version nor a holder. */
async function touchOurs(server: RealApiServer, fleet: MixedFleet): Promise<void> {
  const ours = fleet.startOurs('ours');
  const term = await ours.term;
  const renewTime = '2026-01-02T03:04:05.678901+00:00';
  await server.client.demand('PATCH', fleet.path, {
    contentType: 'application/merge-patch+json',
    body: { spec: { renewTime, leaseDurationSeconds: TIMING.leaseDuration / 1000 } },
  });
  // Wait until ours has renewed it.
  while (String((await fleet.spec())['renewTime']).startsWith('2026-01-02')) expect(term.isOver).toBe(false);
  await term.confirm();
  expect(await fleet.spec()).toMatchObject({ holderIdentity: 'ours', leaseTransitions: 0 });
  await ours.end();
  fleet.expectOneAtATime(1);
}

async function killOurs(server: RealApiServer, fleet: MixedFleet): Promise<void> {
  const replicas = new ReplicaFleet({
    server,
    election: { leaseName: fleet.lease, leaseNamespace: 'default', ...TIMING },
  });
  try {
    const ours = await replicas.join();
    const { from } = await replicas.nextTerm(0);
    const theirs = await fleet.startTheirs('theirs');
    await theirs.said('leader');
    ours.signal('SIGKILL');
    await ours.exited;
    const killedNs = process.hrtime.bigint();
    fleet.reigns.push({ who: ours.identity, from: BigInt(Math.round(from * 1e6)), until: killedNs });
    const runsOutAt = await fleet.expiresAt();
    const since = (await theirs.said('started', killedNs)).monotonicNs;
    expect(toWall(since)).toBeGreaterThanOrEqual(runsOutAt - ROUNDING_MS);
    await fleet.killTheirs(theirs, since);
    fleet.expectOneAtATime(2);
  } finally {
    await replicas.kill();
  }
}

/** Expects the record in the Lease to match the table of foreign records. */
function expectWritten(
  spec: Record<string, unknown>,
  written: Written,
  { digits }: ForeignRecords,
  own: string,
  before: Record<string, unknown>,
): void {
  const { acquireTime, renewTime, ...rest } = spec;
  const transitions = before['leaseTransitions'];
  const durations = { own: TIMING.leaseDuration / 1000, kept: before['leaseDurationSeconds'], 1: 1 };
  const counts = { kept: transitions, 'one more': Number(transitions) + 1, 0: 0 };
  const expected = {
    holderIdentity: written.holderIdentity === 'own' ? own : written.holderIdentity,
    leaseDurationSeconds: written.leaseDurationSeconds && durations[written.leaseDurationSeconds],
    leaseTransitions: written.leaseTransitions === undefined ? undefined : counts[written.leaseTransitions],
  };
  expect({
    leaseDurationSeconds: undefined,
    leaseTransitions: undefined,
    holderIdentity: undefined,
    ...rest,
  }).toEqual(expected);
  const times = { acquireTime, renewTime };
  for (const name of ['acquireTime', 'renewTime'] as const) {
    if (written[name] === undefined) expect(times[name]).toBeUndefined();
    else expect(times[name]).toMatch(digits === 3 ? /\.\d{3}000Z$/ : /\.\d{6}Z$/);
    if (written[name] === 'kept') expect(times[name]).toBe(before[name]);
  }
}

async function expectOurs(
  fleet: MixedFleet,
  holderIdentity: string,
  before: Record<string, unknown>,
): Promise<void> {
  const { acquireTime, renewTime, ...spec } = await fleet.spec();
  expect(spec).toEqual({
    holderIdentity,
    leaseDurationSeconds: TIMING.leaseDuration / 1000,
    leaseTransitions: Number(before['leaseTransitions'] ?? 0) + 1,
  });
  for (const time of [acquireTime, renewTime]) expect(time).toMatch(/\.\d{6}Z$/);
}

/** An instant of the machine's monotonic clock, on its wall clock. */
function toWall(monotonicNs: bigint): number {
  return Number(monotonicNs) / 1e6 + Date.now() - machineNow();
}
