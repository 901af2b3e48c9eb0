/** Signals to the leader at critical moments: during a renewal, during a gated job, for longer than the lease; and a blocked event loop. */
import { expect, it } from 'vitest';
import { onRealApiServer } from './on-real-api-server.js';
import { BRISK, CALM } from './replica-fleet.js';
import { machineNow } from './replica/messages.js';

onRealApiServer('signals to the leader', {}, (stage) => {
  it('SIGTERM during a renewal whose reply comes late: the lease is still released', async () => {
    const fleet = await stage.fleet(2, CALM, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    await leader.proxy.holdReply();
    const struckAt = machineNow();
    leader.signal('SIGTERM');
    await leader.claimEnded(claim);
    leader.proxy.heal();
    const next = await fleet.nextTerm(struckAt);
    expect(await leader.exited).toBe('SIGTERM');
    expect(next.replica).not.toBe(leader.identity);
    expect(leader.log).not.toContain('LEADER_RELEASE_FAILED');
    await fleet.expectSound();
  });

  it('SIGTERM during a renewal whose reply never comes: the lease is released over another connection', async () => {
    const fleet = await stage.fleet(2, CALM, { registers: true });
    const { replica: leader } = await fleet.leader();
    await leader.proxy.holdReply();
    leader.proxy.halfOpen();
    leader.proxy.heal();
    const struckAt = machineNow();
    leader.signal('SIGTERM');
    await fleet.nextTerm(struckAt);
    expect(await leader.exited).toBe('SIGTERM');
    expect(leader.log).not.toContain('LEADER_RELEASE_FAILED');
    await fleet.expectSound();
  });

  it('SIGTERM while requests are delayed: the release arrives when another leads, and has no effect', async () => {
    const fleet = await stage.fleet(2, BRISK, { registers: true });
    const { replica: leader } = await fleet.leader();
    leader.proxy.stall('requests');
    const struckAt = machineNow();
    leader.signal('SIGTERM');
    const next = await fleet.nextTerm(struckAt);
    expect(await leader.exited).toBe('SIGTERM');
    leader.proxy.heal();
    await fleet.renewed(next);
    await fleet.renewed(next);
    await fleet.expectSound();
  });

  it('SIGTERM during a gated job that takes longer than the lease to end: the lease is renewed until then', async () => {
    const fleet = await stage.fleet(2, BRISK, { registers: true });
    const { replica: leader } = await fleet.leader();
    leader.order({ do: 'work', drainMs: 1.5 * BRISK.leaseDuration });
    await leader.worked('started');
    leader.signal('SIGTERM');
    const ended = await leader.worked('ended');
    const next = await fleet.nextTerm(ended.at);
    expect(next.replica).not.toBe(leader.identity);
    expect(await leader.exited).toBe('SIGTERM');
    await fleet.expectSound();
  });

  it('SIGTERM twice: the second has no effect', async () => {
    const fleet = await stage.fleet(2, BRISK, { registers: true });
    const { replica: leader } = await fleet.leader();
    leader.order({ do: 'work', drainMs: BRISK.renewDeadline });
    await leader.worked('started');
    leader.signal('SIGTERM');
    await leader.worked('told');
    leader.signal('SIGTERM');
    const ended = await leader.worked('ended');
    await fleet.nextTerm(ended.at);
    expect(await leader.exited).toBe('SIGTERM');
    await fleet.expectSound();
  });

  it('SIGKILL: another leads when the lease has expired', async () => {
    const fleet = await stage.fleet(2, BRISK, { registers: true });
    const { replica: leader } = await fleet.leader();
    leader.order({ do: 'work', drainMs: 0 });
    await leader.worked('started');
    leader.signal('SIGKILL');
    expect(await leader.exited).toBe('SIGKILL');
    await fleet.nextTerm(machineNow());
    await fleet.expectSound();
  });

  it('SIGSTOP for longer than the lease: at its first check afterwards it no longer leads', async () => {
    const fleet = await stage.fleet(2, BRISK, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    leader.signal('SIGSTOP');
    await fleet.nextTerm(machineNow());
    const continuedAt = machineNow();
    leader.signal('SIGCONT');
    const look = await leader.told('looked', ({ at }) => at > continuedAt);
    expect(look.leads).toBe(false);
    const { reason } = await leader.claimEnded(claim);
    expect(reason).toBe('deadline');
    await fleet.expectSound();
  });

  it("SIGTERM to a leader that was stopped for longer than the lease: it does not release another's lease", async () => {
    const fleet = await stage.fleet(2, BRISK, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    leader.signal('SIGSTOP');
    const next = await fleet.nextTerm(claim.from, leader);
    leader.signal('SIGTERM');
    leader.signal('SIGCONT');
    expect(await leader.exited).toBe('SIGTERM');
    await fleet.renewed(next);
    await fleet.renewed(next);
    await fleet.expectSound();
  });

  it.each([
    ['asks nothing meanwhile', false],
    ['asks itself all the while whether it leads', true],
  ])('the event loop is blocked for longer than the lease by code that %s', async (_, looking) => {
    const fleet = await stage.fleet(2, BRISK, { registers: true });
    const { replica: leader, claim } = await fleet.leader();
    leader.order({ do: 'block', ms: 2 * BRISK.leaseDuration, looking });
    await fleet.nextTerm(claim.from, leader);
    const blocked = await leader.told('blocked');
    const last = await leader.told('looked', ({ at }) => at > blocked.from + BRISK.leaseDuration);
    expect(last.leads).toBe(false);
    await leader.claimEnded(claim);
    await fleet.expectSound();
  });
});
