/** Fleets mixed with client-go: the lease is handed over in both directions, leaders are killed, and each side understands the other's records. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ReplicaFleet } from '../processes/replica-fleet.js';
import { machineNow } from '../processes/replica/messages.js';
import { RealApiServer } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';
import { MixedFleet, TIMING } from './mixed-fleet.js';

/** How many leases are used at once, and how often each. */
const LEASES = 5;
const HANDOVERS_A_LEASE = 20;
const KILLS_A_LEASE = 4;
/** The precision of a record's times. */
const ROUNDING_MS = 2;

const found = findServers();
const leases = Array.from({ length: LEASES }, (_, index) => index + 1);

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

    beforeAll(async () => {
      server = await RealApiServer.start();
      kubeconfig = await server.writeKubeconfig();
    });
    afterAll(async () => {
      await server.stop();
    });

    it(`hands over ${String(LEASES * HANDOVERS_A_LEASE)} times each way, records field by field, never two leaders`, async () => {
      await Promise.all(
        leases.map((number) => handOver(new MixedFleet(server, kubeconfig, `handed-over-${String(number)}`))),
      );
    });

    it(`takes over ${String(LEASES * KILLS_A_LEASE)} times each way from a killed leader, not before its lease has expired`, async () => {
      await Promise.all(
        leases.map((number) =>
          killEachOther(server, new MixedFleet(server, kubeconfig, `killed-${String(number)}`)),
        ),
      );
    });
  });
}

async function handOver(fleet: MixedFleet): Promise<void> {
  let theirs = await fleet.startTheirs('go-0');
  let since = (await theirs.said('started')).monotonicNs;
  for (let round = 1; round <= HANDOVERS_A_LEASE; round += 1) {
    const ours = fleet.startOurs(`ours-${String(round)}`);
    await ours.follows;
    await fleet.stopTheirs(theirs, since);
    await ours.term;
    await expectRecord(fleet, { holderIdentity: `ours-${String(round)}`, leaseTransitions: 2 * round - 1 });

    theirs = await fleet.startTheirs(`go-${String(round)}`);
    await theirs.said('leader');
    const stopping = process.hrtime.bigint();
    await ours.end();
    since = (await theirs.said('started', stopping)).monotonicNs;
    await expectRecord(fleet, { holderIdentity: `go-${String(round)}`, leaseTransitions: 2 * round });
  }
  await fleet.stopTheirs(theirs, since);
  fleet.expectOneAtATime(2 * HANDOVERS_A_LEASE + 1);
}

/** The record must have the same form, whichever side has written it. */
async function expectRecord(fleet: MixedFleet, expected: object): Promise<void> {
  const { acquireTime, renewTime, ...spec } = await fleet.spec();
  expect(spec).toEqual({ ...expected, leaseDurationSeconds: TIMING.leaseDuration / 1000 });
  for (const time of [acquireTime, renewTime])
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
}

async function killEachOther(server: RealApiServer, fleet: MixedFleet): Promise<void> {
  const replicas = new ReplicaFleet({
    server,
    election: { leaseName: fleet.lease, leaseNamespace: 'default', ...TIMING },
  });
  for (let round = 1; round <= KILLS_A_LEASE; round += 1) {
    const theirs = await fleet.startTheirs(`go-${String(round)}`);
    const startedNs = (await theirs.said('started')).monotonicNs;
    const ours = await replicas.join();
    await ours.told('leader');
    const killedNs = await fleet.killTheirs(theirs, startedNs);
    const theirExpiry = await fleet.expiresAt();
    const { from } = await replicas.nextTerm(toMs(killedNs));
    expect(toWall(from)).toBeGreaterThanOrEqual(theirExpiry - ROUNDING_MS);

    const next = await fleet.startTheirs(`go-${String(round)}-again`);
    await next.said('leader');
    ours.signal('SIGKILL');
    await ours.exited;
    const endedNs = process.hrtime.bigint();
    fleet.reigns.push({ who: ours.identity, from: BigInt(Math.round(from * 1e6)), until: endedNs });
    const ourExpiry = await fleet.expiresAt();
    const nextNs = (await next.said('started', endedNs)).monotonicNs;
    expect(toWall(toMs(nextNs))).toBeGreaterThanOrEqual(ourExpiry - ROUNDING_MS);
    await fleet.stopTheirs(next, nextNs);
  }
  fleet.expectOneAtATime(3 * KILLS_A_LEASE);
  await replicas.kill();
}

function toMs(monotonicNs: bigint): number {
  return Number(monotonicNs) / 1e6;
}

/** An instant of the machine's monotonic clock, on its wall clock. */
function toWall(monotonicMs: number): number {
  return monotonicMs + Date.now() - machineNow();
}
