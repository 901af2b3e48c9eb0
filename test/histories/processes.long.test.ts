/**
 * Replicas on a real API server change two values in a database while they are stopped, killed and cut off. Their terms, and the value
 * whose writes carry the token, have a history that a single leader could have made. Two others have not: the value without the
 * token, and the terms as an application would know them that keeps the last event in a variable.
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

  it('is linearizable, except where the token or isLeader() is ignored', async () => {
    const fleet = await stage.fleet(3, BRISK, { registers: true });

    for (let round = 0; round < 2; round += 1) {
      const { replica: old, claim } = await fleet.leader();
      old.order({ do: 'stopAfterClaim' });
      const next = await fleet.nextTerm(claim.from, old);
      const now = fleet.replicas.find(({ identity }) => identity === next.replica);
      await now?.told('saved', ({ token }) => token === String(next.token));
      old.signal('SIGCONT');
      const thawedAt = machineNow();
      await old.told('saved', ({ at }) => at >= thawedAt);
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
    for (const [name, model] of [
      ['unguarded', 'register'],
      ['remembered', 'term'],
    ] as const) {
      const verdict = await verdictOn(name, model, histories?.[name] ?? []);
      expect(verdict).toMatch(/ operations is not linearizable: .*html draws it$/);
    }
  });
});
