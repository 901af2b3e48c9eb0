/** A Lease that is emptied by hand while its holder learns of that late: another process must not lead beside the holder. */
import { it } from 'vitest';
import { onRealApiServer } from './on-real-api-server.js';
import { BRISK } from './replica-fleet.js';
import { machineNow } from './replica/messages.js';

onRealApiServer('a Lease emptied by hand', {}, (stage) => {
  it('while the leader is cut off: nobody leads before its term is over', async () => {
    const fleet = await stage.fleet(2, BRISK);
    const { replica: leader, claim } = await fleet.leader();
    leader.proxy.stall();
    const emptiedAt = machineNow();
    await stage.server.client.demand('PATCH', fleet.leasePath, {
      body: { spec: { holderIdentity: '' } },
      contentType: 'application/merge-patch+json',
    });
    await fleet.nextTerm(emptiedAt, leader);
    await leader.claimEnded(claim);
    leader.proxy.heal();
    await fleet.expectSound();
  });
});
