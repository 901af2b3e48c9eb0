/** What a soak counts shows a leak: of each kind one more is held after each term and each cut of the network. */
import { expect, it } from 'vitest';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { BRISK } from '../processes/replica-fleet.js';
import type { ReplicaProcess } from '../processes/replica-process.js';
import type { Leak } from '../processes/replica/messages.js';
import { Growth, sampleOf } from './growth.js';

const LEAKS: readonly Leak[] = ['processListeners', 'signalListeners', 'sockets', 'timers', 'heap'];
const ROUNDS = 6;

onRealApiServer('after many terms and cuts', {}, (stage) => {
  it('each leak is named', async () => {
    const fleet = await stage.fleet(1, BRISK);
    const replica = fleet.replicas[0] as ReplicaProcess;
    const growth = new Growth();
    for (let round = 0; round < ROUNDS; round += 1) {
      const { claim } = await fleet.leader();
      replica.order({ do: 'stepDown' });
      await fleet.nextTerm(claim.from);
      leak(replica);
      replica.proxy.cut();
      replica.proxy.heal();
      leak(replica);
      growth.add(await sampleOf(fleet, replica));
    }
    const { violations } = growth;
    for (const title of ['listeners of the process', 'listeners of signals', 'sockets', 'timers', 'heap']) {
      expect(violations).toContainEqual(expect.stringMatching(new RegExp(`^${title}\\b.*at the end`)));
    }
  });
});

function leak(replica: ReplicaProcess): void {
  for (const what of LEAKS) replica.order({ do: 'leak', what });
}
