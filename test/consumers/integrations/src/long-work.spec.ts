/** Long work in real applications: how the end of a term reaches it, and how work that does not listen is held back. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LeaseApiServer } from 'nestjs-leader/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { replicasOn } from './replica/replica.js';
import type { Work } from './replica/setup.js';

let server: LeaseApiServer;
let silent: Server;
let silentUrl: string;
let start: ReturnType<typeof replicasOn>;

beforeEach(async () => {
  server = await LeaseApiServer.start();
  start = replicasOn(server);
  // Takes requests and never answers.
  silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  silentUrl = `http://127.0.0.1:${String((silent.address() as AddressInfo).port)}`;
});
afterEach(async () => {
  silent.closeAllConnections();
  silent.close();
  await server.stop();
});

/** Somebody gives the lease to another: the leader loses its term as soon as it hears of it. */
const takeAway = () =>
  server.put({
    metadata: { name: 'billing' },
    spec: {
      holderIdentity: 'somebody',
      leaseDurationSeconds: 1,
      acquireTime: '2026-11-21T00:00:00.000000Z',
      renewTime: '2026-11-21T00:00:00.000000Z',
      leaseTransitions: 7,
    },
  });

const listening: Work[] = ['fetch', 'timer', 'pipeline', 'query'];

describe('work with the signal of its term', () => {
  it('is stopped when the term is lost, with an error that is the term’s and is not logged', async () => {
    const replica = await start('one', { silentUrl });
    await replica.told('startedLeading');
    for (const kind of [...listening, 'race', 'ownError'] as const) {
      replica.order({ do: 'work', kind });
      await replica.told('working', { kind });
    }
    takeAway();
    for (const kind of [...listening, 'race'] as const)
      expect(await replica.told('failed', { kind })).toMatchObject({ isTermOver: true });
    expect(await replica.told('failed', { kind: 'ownError' })).toMatchObject({ isTermOver: false });
    // The event emitter logs what a listener throws: after all of it has been, only what was the work's own.
    await replica.logged('an error of its own');
    const errors = replica.log.filter(({ level }) => level === 'error');
    expect(errors.map(({ message }) => message)).toEqual(['an error of its own']);
  });

  it('is stopped when the term is handed over: the next leader need not wait', async () => {
    const leader = await start('one', { silentUrl });
    await leader.told('startedLeading');
    const follower = await start('two');
    for (const kind of listening) {
      leader.order({ do: 'work', kind });
      await leader.told('working', { kind });
    }
    leader.signal('SIGTERM');
    await follower.told('startedLeading');
    expect(await leader.exited).toBe('SIGTERM');
    expect(leader.log.filter(({ level }) => level === 'error')).toEqual([]);
    expect(leader.log.filter(({ message }) => String(message).includes('LEADER_DRAIN_TIMEOUT'))).toEqual([]);
  });

  it('that raced an operation goes on at once; the lease is kept until that has settled', async () => {
    const leader = await start('one');
    await leader.told('startedLeading');
    const follower = await start('two');
    leader.order({ do: 'work', kind: 'race' });
    await leader.told('working');
    leader.signal('SIGTERM');
    expect(await leader.told('failed')).toMatchObject({ isTermOver: true });
    await server.nextRequest(
      ({ verb, user, status }) => verb === 'update' && user === 'one' && status === 200,
    );
    expect(server.leases[0]?.spec.holderIdentity).toBe('one');
    leader.order({ do: 'finish' });
    await follower.told('startedLeading');
    expect(await leader.exited).toBe('SIGTERM');
  });
});

describe('work that does not listen, of a term that was lost', () => {
  it('keeps its process from campaigning until it has ended, and the log says so', async () => {
    const replica = await start('one');
    const { token } = await replica.told('startedLeading');
    replica.order({ do: 'work', kind: 'stubborn' });
    await replica.told('working');
    server.delete('billing');
    expect(await replica.logged('Lost')).toMatchObject({ level: 'warn' });
    await replica.logged('1 gated call(s) still run');
    await replica.told('state', { kind: 'following', stillRunning: 1 });
    const leadsAgain = replica.lines.length;
    // A lease for another to have: it would be taken at once.
    const other = await start('two');
    await other.told('startedLeading');
    // On a busy machine it might else be gone before anybody has seen it lead.
    await replica.told('newLeader', { identity: 'two' }, leadsAgain);
    other.signal('SIGTERM');
    await other.exited;
    await replica.told('newLeader', { identity: '' }, leadsAgain);
    expect(replica.lines.slice(leadsAgain).some(({ event }) => event === 'startedLeading')).toBe(false);

    replica.order({ do: 'finish' });
    await replica.told('ended', { token });
    const { token: next } = await replica.told('startedLeading', {}, leadsAgain);
    expect(BigInt(String(next)) > BigInt(String(token))).toBe(true);
    expect(replica.at('ended')).toBeLessThan(
      replica.lines.findLastIndex(({ event }) => event === 'startedLeading'),
    );
  });

  it('and does not end: after drainTimeout the process says so and campaigns', async () => {
    const replica = await start('one', { election: { drainTimeout: 500 } });
    await replica.told('startedLeading');
    replica.order({ do: 'work', kind: 'stubborn' });
    await replica.told('working');
    const lostAt = replica.lines.length;
    server.put({ metadata: { name: 'billing' }, spec: { holderIdentity: '' } });
    await replica.told('stoppedLeading', {}, lostAt);
    await replica.logged('campaigns again anyway');
    await replica.told('startedLeading', {}, lostAt);
    expect(replica.at('ended')).toBe(-1);
  });
});
