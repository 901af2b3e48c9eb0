/** The options advertise and priority: what the holder notes on the Lease. */
import { describe, expect, it } from 'vitest';
import { LeaderService, type LeaderElectionModuleOptions } from '../../lib/index.js';
import { Replicas } from './replicas.js';

const replicas = new Replicas();
const startedWith = async (options: Partial<LeaderElectionModuleOptions>): Promise<LeaderService> => {
  const app = await replicas.start([{ leaseName: 'x', ...options }]);
  return app.get(LeaderService);
};
/** Resolves when the state is so. */
async function until(leader: LeaderService, fits: () => boolean): Promise<void> {
  for await (const _ of leader.changes()) if (fits()) return;
}
const QUICK = { leaseDuration: 1_000, renewDeadline: 800, retryPeriod: 200 } as const;

describe('advertise', () => {
  it('followers and the leader itself know where the leader can be reached', async () => {
    const first = await startedWith({ advertise: 'http://10.0.0.1:3000' });
    expect(first.getLeaderAddress()).toBeUndefined();
    await first.whenLeader();
    expect(first.getLeaderAddress()).toBe('http://10.0.0.1:3000');
    const second = await startedWith({ advertise: 'http://10.0.0.2:3000' });
    await until(second, () => second.getLeader() !== '');
    expect(second.getLeaderAddress()).toBe('http://10.0.0.1:3000');
    expect(second.state).toMatchObject({ leaderNote: { address: 'http://10.0.0.1:3000' } });

    await replicas.closeFirst();
    await second.whenLeader();
    expect(second.getLeaderAddress()).toBe('http://10.0.0.2:3000');
    await second.stepDown({ cooldown: 600_000 });
    expect(second.getLeaderAddress()).toBeUndefined();
  });

  it('the address of a holder is not taken for that of another client which keeps the annotation', async () => {
    const first = await startedWith({ advertise: 'http://10.0.0.1:3000', leaseDuration: 60_000 });
    await first.whenLeader();
    const follower = await startedWith({});
    await until(follower, () => follower.getLeaderAddress() === 'http://10.0.0.1:3000');
    const [lease] = replicas.server.leases;
    const annotations = lease?.metadata.annotations;
    expect(Object.keys(annotations ?? {})).toContain('nestjs-leader/holder');
    replicas.server.put({
      metadata: { name: 'x', annotations: annotations ?? {} },
      spec: { ...lease?.spec, holderIdentity: 'client-go' },
    });
    await until(follower, () => follower.getLeader() === 'client-go');
    expect(follower.getLeaderAddress()).toBeUndefined();
  });

  it.each([
    ['', ''],
    ['a line\nbreak', 'line'],
    [7 as unknown as string, '7'],
  ])('refuses %j', async (advertise) => {
    await expect(startedWith({ advertise })).rejects.toMatchObject({
      violations: [
        expect.stringMatching(/^advertise is .*: it must be a non-empty string of at most 300 characters/),
      ],
    });
  });
});

describe('priority', () => {
  it('the lease moves to a replica with a higher one, and stays there', async () => {
    const low = await startedWith({ ...QUICK, priority: 1 });
    await low.whenLeader();
    const high = await startedWith({ ...QUICK, priority: () => 2 });
    const reason = new Promise((resolve) => {
      low.on('stoppedLeading', (event) => {
        resolve(event.reason);
      });
    });
    const askedBy: unknown[] = [];
    low.on('stateChanged', ({ state }) => {
      if (state.kind === 'handingOver') askedBy.push(state.askedBy);
    });
    await high.whenLeader();
    expect(await reason).toBe('steppedDown');
    expect(new Set(askedBy)).toEqual(new Set([high.identity]));
    await until(low, () => low.getLeader() === high.identity);
    expect(low.state).toMatchObject({ leaderNote: { priority: 2 } });
  });

  it('is refused with options that move leases for other reasons', async () => {
    await expect(
      startedWith({
        priority: Number.NaN,
        slots: 2,
        alsoLease: 'y',
      }),
    ).rejects.toMatchObject({
      violations: expect.arrayContaining([
        'priority is NaN: it must be a finite number, or a function that returns one',
        'priority is NaN and slots 2: each replica leads a slot anyway',
        "priority is NaN and alsoLease 'y': add it after the move",
      ]),
    });
    await expect(startedWith({ priority: 1, spread: true })).rejects.toMatchObject({
      violations: ['priority is 1 and spread true: an election is moved either to even out, or by priority'],
    });
  });
});
