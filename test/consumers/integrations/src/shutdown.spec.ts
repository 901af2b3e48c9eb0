/** How real applications stop: each in a process of its own, on a Lease API server in this one. */
import { LeaseApiServer } from 'nestjs-leader/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replicasOn, type Replica } from './replica/replica.js';

let server: LeaseApiServer;
let start: ReturnType<typeof replicasOn>;

beforeEach(async () => {
  server = await LeaseApiServer.start();
  start = replicasOn(server);
});
afterEach(async () => {
  await server.stop();
});

type ReplicaSetup = Parameters<typeof start>[1];

/** One that leads and one that follows. */
async function pair(setup: ReplicaSetup = {}): Promise<[leader: Replica, follower: Replica]> {
  const leader = await start('one', setup);
  await leader.told('startedLeading');
  const follower = await start('two');
  await follower.told('newLeader', { identity: 'one' });
  return [leader, follower];
}

const renewalOf = (identity: string) =>
  server.nextRequest(({ verb, user, status }) => verb === 'update' && user === identity && status === 200);

/** What was told, in the order in which it was, of these. */
function order(replica: Replica, ...events: string[]): string[] {
  const told = replica.lines.filter(({ event }) => events.includes(event));
  return told.map(({ event, at }) => (at === undefined ? event : `${event} of ${String(at)}`));
}

describe('SIGTERM to a leader with gated work', () => {
  it('closes the gate, stops the work, renews until it has ended, releases, and only then stops other modules', async () => {
    const [leader, follower] = await pair({ terminusTimeoutMs: 50 });
    leader.order({ do: 'work', kind: 'obedient' });
    await leader.told('working');
    await leader.told('tick');
    leader.signal('SIGTERM');

    // The gate is closed when the work hears of it, and the lease held and renewed for as long as it runs.
    expect(await leader.told('told')).toMatchObject({ isLeader: false, state: 'handingOver' });
    await renewalOf('one');
    await renewalOf('one');
    expect(server.leases[0]?.spec.holderIdentity).toBe('one');
    expect(follower.at('startedLeading')).toBe(-1);

    leader.order({ do: 'finish' });
    expect(await leader.told('ended')).toMatchObject({ database: true });
    await follower.told('startedLeading');
    expect(await leader.exited).toBe('SIGTERM');
    expect(
      order(
        leader,
        'told',
        'ended',
        'stoppedLeading',
        'onModuleDestroy',
        'beforeApplicationShutdown',
        'onApplicationShutdown',
      ),
    ).toEqual([
      'told',
      'ended',
      'stoppedLeading',
      'onModuleDestroy of root',
      'onModuleDestroy of imported',
      'beforeApplicationShutdown of root',
      'beforeApplicationShutdown of imported',
      'onApplicationShutdown of root',
      'onApplicationShutdown of imported',
    ]);
    // Read by the neighbours, past the election.
    for (const { event, holder } of leader.lines)
      if (event === 'onModuleDestroy') expect(holder).not.toBe('one');
    // @nestjs/schedule goes on until beforeApplicationShutdown; the gate does not.
    const closedAt = leader.at('told');
    expect(leader.lines.slice(closedAt).filter(({ event }) => event === 'tick')).toEqual([]);
  });

  it('releases before Terminus waits for its gracefulShutdownTimeoutMs', async () => {
    const [leader, follower] = await pair({ terminusTimeoutMs: 3_600_000 });
    leader.signal('SIGTERM');
    await leader.logged('Awaiting 3600000ms before shutdown');
    await follower.told('startedLeading');
  });

  it('takes a second SIGTERM, and a Ctrl+C, for nothing new: the work is waited for', async () => {
    const [leader, follower] = await pair();
    leader.order({ do: 'work', kind: 'obedient' });
    await leader.told('working');
    leader.signal('SIGTERM');
    await leader.told('told');
    leader.signal('SIGTERM');
    leader.signal('SIGINT');
    await renewalOf('one');
    expect(server.leases[0]?.spec.holderIdentity).toBe('one');
    leader.order({ do: 'finish' });
    await leader.told('ended');
    expect(await leader.exited).toBe('SIGTERM');
    await follower.told('startedLeading');
  });

  it('goes on after drainTimeout without the work: others lead when the lease has run out', async () => {
    const [leader, follower] = await pair({ election: { drainTimeout: 500 } });
    leader.order({ do: 'work', kind: 'stubborn' });
    await leader.told('working');
    leader.signal('SIGTERM');
    await leader.logged('LEADER_DRAIN_TIMEOUT');
    // Kept, not released: the work may still act.
    expect(await leader.told('onModuleDestroy', { at: 'imported' })).toMatchObject({ holder: 'one' });
    expect(await leader.exited).toBe('SIGTERM');
    await follower.told('startedLeading');
  });
});

describe('an HTTP request that never ends', () => {
  it('hangs the shutdown of Nest, not the hand-over', async () => {
    const [leader, follower] = await pair();
    const { url } = await leader.told('listening');
    const answer = fetch(`${String(url)}/hang`).catch(() => 'cut');
    await leader.told('asked');
    leader.signal('SIGTERM');
    await follower.told('startedLeading');
    await leader.told('beforeApplicationShutdown', { at: 'imported' });
    expect(leader.at('onApplicationShutdown')).toBe(-1);
    await leader.kill();
    expect(await answer).toBe('cut');
  });

  it('and is gated: is waited for as other work, for drainTimeout', async () => {
    const [leader, follower] = await pair({ election: { drainTimeout: 500 } });
    const { url } = await leader.told('listening');
    const answer = fetch(`${String(url)}/gated`).catch(() => 'cut');
    await leader.told('asked');
    leader.signal('SIGTERM');
    await leader.logged('LEADER_DRAIN_TIMEOUT');
    await leader.told('beforeApplicationShutdown', { at: 'imported' });
    // Nest waits for the request for ever, so the lease is renewed until somebody ends the process.
    await renewalOf('one');
    await leader.kill();
    expect(await answer).toBe('cut');
    await follower.told('startedLeading');
  });
});

describe.each(['root', 'imported'] as const)('a hook of the %s module that throws', (throwsIn) => {
  it('does not keep the lease from being released, nor work from being waited for', async () => {
    const [leader, follower] = await pair({ throwsIn });
    leader.order({ do: 'work', kind: 'obedient' });
    await leader.told('working');
    leader.signal('SIGTERM');
    await leader.told('told');
    await renewalOf('one');
    leader.order({ do: 'finish' });
    await leader.told('ended');
    await follower.told('startedLeading');
    await leader.exited;
    expect(order(leader, 'ended', 'stoppedLeading', 'throws')).toEqual([
      'ended',
      'stoppedLeading',
      `throws of ${throwsIn}`,
    ]);
  });
});

describe('app.close() by hand', () => {
  it('hands over as a signal does, and leaves nothing that keeps the process', async () => {
    const [leader, follower] = await pair({ shutdownHooks: false });
    leader.order({ do: 'close' });
    await leader.told('closed');
    await follower.told('startedLeading');
  });

  it('and SIGTERM meanwhile: one hand-over', async () => {
    const [leader, follower] = await pair();
    leader.order({ do: 'work', kind: 'obedient' });
    await leader.told('working');
    leader.order({ do: 'close' });
    await leader.told('told');
    leader.signal('SIGTERM');
    await renewalOf('one');
    leader.order({ do: 'finish' });
    await leader.told('ended');
    await follower.told('startedLeading');
    await leader.exited;
    expect(order(leader, 'stoppedLeading')).toEqual(['stoppedLeading']);
  });
});

describe('without enableShutdownHooks()', () => {
  it('a leader and a follower say what is lost', async () => {
    const [leader] = await pair({ shutdownHooks: false });
    const follower = await start('three', { shutdownHooks: false });
    for (const replica of [leader, follower]) {
      const { level, message } = await replica.logged('enableShutdownHooks()');
      expect(level).toBe('warn');
      expect(message).toMatch(/in the middle of its work.*not released/s);
    }
  });

  it('and it is so: SIGTERM ends the process in the middle of its work; the lease is released at its exit', async () => {
    const [leader, follower] = await pair({ shutdownHooks: false });
    leader.order({ do: 'work', kind: 'obedient' });
    await leader.told('working');
    leader.signal('SIGTERM');
    expect(await leader.exited).toBe('SIGTERM');
    expect([leader.at('ended'), leader.at('stoppedLeading')]).toEqual([-1, -1]);
    await follower.told('startedLeading');
  });

  it('with them, nobody is warned: also where they are enabled after listen()', async () => {
    const [leader, follower] = await pair();
    const single = await start('three', { election: { enabled: false } });
    // The lines of processes that started later, and were warned.
    const warned = await start('four', { shutdownHooks: false });
    await warned.logged('enableShutdownHooks()');
    for (const { log } of [leader, follower, single])
      expect(log.filter(({ message }) => String(message).includes('enableShutdownHooks'))).toEqual([]);
  });
});
