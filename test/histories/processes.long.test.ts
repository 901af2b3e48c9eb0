/**
 * Replicas on a real API server change two values in a database while they are stopped, killed and cut off. Their terms, and the value
 * whose writes carry the token, have a history that a single leader could have made. The other value has not.
 */
import { expect, it } from 'vitest';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { BRISK } from '../processes/replica-fleet.js';
import { machineNow } from '../processes/replica/messages.js';
import { findLinearizabilityCheck } from '../rig/linearizability.js';
import { verdictOn } from './histories.js';

onRealApiServer('the history of a fleet under faults', {}, (stage) => {
  const checker = findLinearizabilityCheck();
  if (!checker.available) {
    it(`is not checked here: ${checker.reason}`, () => {
      expect(checker.reason).not.toBe('');
    });
    return;
  }

  it('is linearizable, except that of the value without a token', async () => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });

    for (let round = 0; round < 2; round += 1) {
      const { replica: old, claim } = await fleet.leader();
      old.order({ do: 'stopAfterClaim' });
      const next = await fleet.nextTerm(claim.from, old);
      const now = fleet.replicas.find(({ identity }) => identity === next.replica);
      await now?.told('register', ({ stage, token }) => stage === 'saved' && token === String(next.token));
      old.signal('SIGCONT');
      const thawedAt = machineNow();
      await old.told('register', ({ stage, at }) => stage === 'saved' && at >= thawedAt);
    }

    const { replica: killed, claim } = await fleet.leader();
    killed.signal('SIGKILL');
    await fleet.join();
    await fleet.nextTerm(claim.from, killed);

    const { replica: lonely, claim: lost } = await fleet.leader();
    lonely.proxy.cut();
    await fleet.nextTerm(lost.from, lonely);
    lonely.proxy.heal();

    await fleet.expectSound();
    const histories = await fleet.histories();
    const verdict = await verdictOn('unguarded', 'register', histories?.unguarded ?? []);
    expect(verdict).toMatch(
      /unguarded.json of \d+ operations is not linearizable: .*unguarded.html draws it$/,
    );
  });
});
