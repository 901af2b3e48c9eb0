/** What an application does about its leadership, and which options shape it, in processes of their own. */
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

const HOUR = 3_600_000;

/** A lease that its holder left behind an instant ago. */
function leftBehindBy(holderIdentity: string, leaseDurationSeconds: number): void {
  const now = new Date().toISOString().replace('Z', '000Z');
  server.put({
    metadata: { name: 'billing' },
    spec: { holderIdentity, leaseDurationSeconds, acquireTime: now, renewTime: now, leaseTransitions: 3 },
  });
}

const leads = (replica: Replica, from = 0) => replica.told('startedLeading', {}, from);
const terms = ({ lines }: Replica) => lines.filter(({ event }) => event === 'startedLeading').length;

describe('runAsLeader()', () => {
  it('resolves with what the task returned, when its term has been handed over', async () => {
    const one = await start('one');
    const two = await start('two');
    one.order({ do: 'runAsLeader', ends: 'value' });
    await one.told('task');
    one.order({ do: 'finish' });
    expect(await one.told('runAsLeader')).toMatchObject({ value: 'the result' });
    expect(one.at('stoppedLeading', { reason: 'steppedDown' })).toBeLessThan(one.at('runAsLeader'));
    await leads(two);
  });

  it('rejects as the task does, and hands over', async () => {
    const one = await start('one');
    const two = await start('two');
    one.order({ do: 'runAsLeader', ends: 'error' });
    await one.told('task');
    one.order({ do: 'finish' });
    expect(await one.told('runAsLeader')).toEqual({ event: 'runAsLeader', error: 'an error of its own' });
    await leads(two);
  });

  it('gives up the wait for a term with its signal', async () => {
    const one = await start('one');
    await leads(one);
    const two = await start('two');
    two.order({ do: 'runAsLeader', ends: 'value' });
    two.order({ do: 'giveUp' });
    expect(await two.told('runAsLeader')).toEqual({ event: 'runAsLeader', error: 'given up' });
    one.signal('SIGTERM');
    await leads(two);
    expect(two.at('task')).toBe(-1);
  });

  it('whose term is lost in the middle rejects as the task does, and leaves the next term alone', async () => {
    const one = await start('one');
    one.order({ do: 'runAsLeader', ends: 'term' });
    await one.told('task');
    const lost = one.lines.length;
    server.delete('billing');
    expect(await one.told('runAsLeader')).toMatchObject({
      error: 'The operation was aborted',
      isTermOver: true,
    });
    await leads(one, lost);
    // The next term goes on: it is renewed.
    await server.nextRequest(({ verb, status }) => verb === 'update' && status === 200);
    expect(one.at('stoppedLeading', { reason: 'steppedDown' })).toBe(-1);
  });

  it('and shutdown: the task is told to stop and waited for', async () => {
    const one = await start('one');
    one.order({ do: 'runAsLeader', ends: 'value' });
    await one.told('task');
    one.signal('SIGTERM');
    await one.told('state', { kind: 'handingOver' });
    await server.nextRequest(({ verb, status }) => verb === 'update' && status === 200);
    one.order({ do: 'finish' });
    expect(await one.told('runAsLeader')).toMatchObject({ value: 'the result' });
    expect(await one.exited).toBe('SIGTERM');
    expect(server.leases[0]?.spec.holderIdentity).toBe('');
  });
});

describe('whenLeader()', () => {
  it('resolves when this process leads, at once when it does, and rejects when the application stops', async () => {
    const one = await start('one');
    await leads(one);
    one.order({ do: 'whenLeader' });
    expect(await one.told('whenLeader')).toHaveProperty('value.fencingToken');
    const [two, three] = [await start('two'), await start('three')];
    two.order({ do: 'whenLeader' });
    three.order({ do: 'whenLeader' });
    three.signal('SIGTERM');
    expect(await three.told('whenLeader')).toMatchObject({ code: 'LEADER_STOPPED' });
    one.signal('SIGTERM');
    await leads(two);
    expect(await two.told('whenLeader')).toHaveProperty('value.identity', 'two');
  });
});

describe('stepDown()', () => {
  it('lets another lead, which has the lease for as long as the cooldown lasts and beyond', async () => {
    const one = await start('one');
    await leads(one);
    const two = await start('two');
    one.order({ do: 'stepDown', cooldown: HOUR });
    await one.told('steppedDown');
    await leads(two);
    const leadsNoMore = one.lines.length;
    two.signal('SIGTERM');
    await two.exited;
    // The lease is free, and the one that stepped down knows it: it waits all the same.
    await one.told('newLeader', { identity: '' }, leadsNoMore);
    const three = await start('three');
    await leads(three);
    expect(terms(one)).toBe(1);
  });

  it('without another: this process leads again after the cooldown', async () => {
    const one = await start('one');
    const { token } = await leads(one);
    const before = one.lines.length;
    one.order({ do: 'stepDown', cooldown: 100 });
    const again = await leads(one, before);
    expect(BigInt(String(again['token'])) > BigInt(String(token))).toBe(true);
  });
});

describe('termLimit', () => {
  it('hands over when a term has lasted so long, and another leads', async () => {
    const one = await start('one', { election: { termLimit: 1_000 } });
    await leads(one);
    const two = await start('two');
    await one.told('stoppedLeading', { reason: 'termLimit' });
    await leads(two);
  });
});

describe('a lease that was left behind', () => {
  it('with reclaimOwnLease is taken at once by the process of that name, and only by that', async () => {
    leftBehindBy('pod-0', 3_600);
    const other = await start('pod-1');
    const before = server.leases[0]?.spec.renewTime;
    const back = await start('pod-0', { election: { reclaimOwnLease: true } });
    await leads(back);
    expect(server.leases[0]?.spec.leaseTransitions).toBe(3);
    expect(server.leases[0]?.spec.renewTime).not.toBe(before);
    await other.told('newLeader', { identity: 'pod-0' });
    expect(terms(other)).toBe(0);
  });

  it('with lockDelay is taken later than by those without', async () => {
    leftBehindBy('gone', 1);
    const patient = await start('one', { election: { lockDelay: HOUR } });
    const other = await start('two');
    await leads(other);
    await patient.told('newLeader', { identity: 'two' });
    // It applies to a lease that ran out, not to one that was handed over.
    other.signal('SIGTERM');
    await leads(patient);
  });
});

describe("onLost: 'exit'", () => {
  it('ends the process with code 1 when the term is lost, and says why', async () => {
    const one = await start('one', { election: { onLost: 'exit' } });
    await leads(one);
    server.delete('billing');
    expect(await one.exited).toBe(1);
    expect(one.log.at(-1)).toMatchObject({
      level: 'error',
      message: "Lost 'billing' (leaseGone). Exiting with code 1 (onLost: 'exit').",
    });
    expect(one.at('stoppedLeading', { reason: 'leaseGone' })).toBeGreaterThan(-1);
  });

  it('does not when it is handed over', async () => {
    const one = await start('one', { election: { onLost: 'exit' } });
    await leads(one);
    const before = one.lines.length;
    one.order({ do: 'stepDown', cooldown: 0 });
    await leads(one, before);
    one.signal('SIGTERM');
    expect(await one.exited).toBe('SIGTERM');
  });
});
