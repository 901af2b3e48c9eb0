/** What real processes record of failures, on a real API server, is replayed, and the rules explain each step. */
import { expect, it } from 'vitest';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { BRISK, CALM, type ReplicaFleet } from '../processes/replica-fleet.js';
import { machineNow } from '../processes/replica/messages.js';
import { expectLawful, recordingFleet } from './real-recordings.js';
import type { Transition } from './transitions.js';

const SCENARIOS: readonly (readonly [
  what: string,
  timing: object,
  strike: (fleet: ReplicaFleet) => Promise<void>,
  uses: readonly Transition[],
])[] = [
  [
    'the leader is killed, and its lease runs out',
    BRISK,
    async (fleet) => {
      const { replica: leader } = await fleet.leader();
      const since = machineNow();
      leader.signal('SIGKILL');
      await leader.exited;
      await fleet.nextTerm(since, leader);
    },
    ['a lease that has run out is claimed'],
  ],
  [
    'the leader is stopped for longer than the lease, and continued',
    BRISK,
    async (fleet) => {
      const { replica: leader, claim } = await fleet.leader();
      const since = machineNow();
      leader.signal('SIGSTOP');
      await fleet.nextTerm(since, leader);
      leader.signal('SIGCONT');
      await leader.claimEnded(claim);
    },
    ['a term ends because it has run out', 'a lease that has run out is claimed'],
  ],
  [
    'the leader is cut off, and connected again',
    BRISK,
    async (fleet) => {
      const { replica: leader, claim } = await fleet.leader();
      const since = machineNow();
      leader.proxy.cut();
      await fleet.nextTerm(since, leader);
      await leader.claimEnded(claim);
      leader.proxy.heal();
    },
    ['a term ends because it has run out', 'a lease that has run out is claimed'],
  ],
  [
    'the replies to the leader are held up, and then lost',
    CALM,
    async (fleet) => {
      const { replica: leader, claim } = await fleet.leader();
      await leader.proxy.holdReply();
      leader.proxy.halfOpen();
      leader.proxy.heal();
      await fleet.renewed(claim);
    },
    ['a renewal is sent again'],
  ],
];

onRealApiServer('what real processes record', {}, (stage) => {
  it.each(SCENARIOS)('is replayed, and the rules explain it: %s', async (_, timing, strike, uses) => {
    const fleet = await recordingFleet(stage, 3, timing);
    await strike(fleet);
    expect([...(await expectLawful(fleet)).keys()]).toEqual(expect.arrayContaining([...uses]));
  });
});
