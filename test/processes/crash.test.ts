/** The leader dies by its own fault. Its lease lasts ten minutes, so another leads within the test only if the lease was released. */
import { expect, it } from 'vitest';
import { onRealApiServer } from './on-real-api-server.js';
import { BRISK, CALM, type ReplicaFleet } from './replica-fleet.js';
import type { ReplicaProcess } from './replica-process.js';
import type { Death } from './replica/messages.js';

const LONG = { leaseDuration: 600_000, renewDeadline: 400_000, retryPeriod: 5_000 };

onRealApiServer('a leader that dies by its own fault', {}, (stage) => {
  const holder = async (fleet: ReplicaFleet): Promise<string | undefined> => {
    const { json } = await stage.server.client.demand('GET', fleet.leasePath);
    return (json as { spec: { holderIdentity?: string } }).spec.holderIdentity;
  };

  it.each<[string, Death, number, RegExp]>([
    [
      'an uncaught exception',
      'exception',
      1,
      /Error: died by its own fault: exception\n +at .*\n[^]*\nNode\.js v/,
    ],
    [
      'an unhandled rejection',
      'rejection',
      1,
      /Error: died by its own fault: rejection\n +at .*\n[^]*\nNode\.js v/,
    ],
    ['process.exit(3)', 'exit', 3, /^/],
  ])(
    '%s: another leads at once, and the exit code and the stack are as ever',
    async (_, how, code, printed) => {
      const fleet = await stage.fleet(2, LONG);
      const { replica: leader, claim } = await fleet.leader();
      leader.order({ do: 'die', how });
      await fleet.nextTerm(claim.from, leader);
      expect(await leader.exited).toBe(code);
      expect(leader.log).toMatch(printed);
      expect(leader.log).toContain('leads at exit: false\n');
      await fleet.expectSound();
    },
  );

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    '%s without shutdown hooks: another leads at once, and the process ends by that signal',
    async (signal) => {
      const fleet = await stage.fleet(2, LONG, { shutdownHooks: false });
      const { replica: leader, claim } = await fleet.leader();
      leader.signal(signal);
      await fleet.nextTerm(claim.from, leader);
      expect(await leader.exited).toBe(signal);
      const next = await fleet.leader();
      expect(next.replica).not.toBe(leader);
    },
  );

  it.each<[string, (leader: ReplicaProcess) => void, number | string]>([
    ['an uncaught exception', (leader) => leader.order({ do: 'die', how: 'exception' }), 1],
    ['process.exit(3)', (leader) => leader.order({ do: 'die', how: 'exit' }), 3],
    ['SIGTERM', (leader) => leader.signal('SIGTERM'), 'SIGTERM'],
  ])(
    "%s, and a listener of the term's signal calls process.exit(): another leads at once, and the process ends as ever",
    async (_, end, how) => {
      const fleet = await stage.fleet(2, LONG, { shutdownHooks: false });
      const { replica: leader, claim } = await fleet.leader();
      leader.order({ do: 'exitAtAbort' });
      leader.order({ do: 'block', ms: 0, looking: false });
      await leader.told('blocked');
      end(leader);
      await fleet.nextTerm(claim.from, leader);
      expect(await leader.exited).toBe(how);
    },
  );

  it('both Leases of an election are released', async () => {
    const fleet = stage.emptyFleet(LONG);
    await fleet.grow(2, { alsoLease: 'crash-also' });
    const { replica: leader, claim } = await fleet.leader();
    leader.order({ do: 'die', how: 'exit' });
    await fleet.nextTerm(claim.from, leader);
    expect(await leader.exited).toBe(3);
    await fleet.expectSound();
  });

  it('with a renewal whose reply never came: the lease is released all the same', async () => {
    const fleet = await stage.fleet(2, { ...LONG, renewInterval: 2_000 });
    const { replica: leader, claim } = await fleet.leader();
    await leader.proxy.holdReply();
    leader.proxy.halfOpen();
    leader.proxy.heal();
    leader.order({ do: 'die', how: 'exit' });
    await fleet.nextTerm(claim.from, leader);
    expect(await leader.exited).toBe(3);
    await fleet.expectSound();
  });

  it('the API server does not answer: the process ends with its code, and the lease expires', async () => {
    const fleet = await stage.fleet(2, BRISK);
    const { replica: leader, claim } = await fleet.leader();
    leader.proxy.stall('requests');
    leader.order({ do: 'die', how: 'exit' });
    expect(await leader.exited).toBe(3);
    await fleet.nextTerm(claim.from, leader);
    leader.proxy.heal();
    await fleet.expectSound();
  });

  it('another leads by then: its lease stays as it is', async () => {
    const fleet = await stage.fleet(2, BRISK);
    const { replica: leader, claim } = await fleet.leader();
    leader.order({ do: 'die', how: 'exit', afterMs: 2 * BRISK.leaseDuration });
    const next = await fleet.nextTerm(claim.from, leader);
    expect(await leader.exited).toBe(3);
    await fleet.renewed(next);
    await fleet.renewed(next);
    await fleet.expectSound();
  });

  it('a follower dies: the leader goes on', async () => {
    const fleet = await stage.fleet(2, CALM);
    const { replica: leader, claim } = await fleet.leader();
    const follower = fleet.replicas.find((replica) => replica !== leader);
    follower?.order({ do: 'die', how: 'exit' });
    expect(await follower?.exited).toBe(3);
    await fleet.renewed(claim);
    await fleet.expectSound();
  });

  it.each([
    ['releaseOnCancel: false', { releaseOnCancel: false }],
    ['releaseAtExit: false', { releaseAtExit: false }],
  ])('%s: the lease is kept', async (_, option) => {
    const fleet = stage.emptyFleet(LONG);
    await fleet.grow(1, option);
    const { replica: leader } = await fleet.leader();
    leader.order({ do: 'die', how: 'exit' });
    expect(await leader.exited).toBe(3);
    expect(await holder(fleet)).toBe(leader.identity);
  });
});
