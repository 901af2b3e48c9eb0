import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { LeaderService, currentTerm, type ElectorState } from '../../lib/index.js';
import { applicationOf } from './application.js';

describe('LeaderService', () => {
  it('answers who leads', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    expect([leader.isLeader(), leader.getLeader(), leader.term]).toEqual([false, '', undefined]);
    elector.grant({ fencingToken: 3n });
    expect([leader.isLeader(), leader.getLeader(), leader.term?.fencingToken]).toEqual([true, 'me', 3n]);
    elector.revoke('superseded', 'other');
    expect([leader.isLeader(), leader.getLeader(), leader.state.kind]).toEqual([false, 'other', 'following']);
    await app.close();
    expect(leader.state.kind).toBe('stopped');
  });

  it('whenLeader resolves with the term, at once if there is one', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const waiting = leader.whenLeader();
    elector.grant();
    expect(await waiting).toBe(leader.term);
    expect(await leader.whenLeader()).toBe(leader.term);
    await app.close();
  });

  it('whenLeader ends with its signal, and with the election', async () => {
    const { app } = await applicationOf();
    const leader = app.get(LeaderService);
    const given = new AbortController();
    const givenUp = expect(leader.whenLeader({ signal: given.signal })).rejects.toBe('enough');
    given.abort('enough');
    await givenUp;
    const stopped = expect(leader.whenLeader()).rejects.toMatchObject({ code: 'LEADER_STOPPED' });
    await app.close();
    await stopped;
    await expect(leader.whenLeader()).rejects.toMatchObject({ code: 'LEADER_STOPPED' });
  });

  it('runAsLeader waits, runs in the term, hands over afterwards and gives the result', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const result = leader.runAsLeader(async (term) => {
      await Promise.resolve();
      expect(currentTerm()).toBe(term);
      return term.fencingToken;
    });
    elector.grant({ fencingToken: 8n });
    expect(await result).toBe(8n);
    expect(leader.isLeader()).toBe(false);
    await app.close();
  });

  it('changes() starts with the present state, and ends with the election', async () => {
    const { app, elector } = await applicationOf();
    const kinds: ElectorState['kind'][] = [];
    const reading = (async () => {
      for await (const { kind } of app.get(LeaderService).changes()) {
        kinds.push(kind);
        if (kind === 'following' && kinds.length === 1) elector.grant();
        if (kind === 'leading') void app.close();
      }
    })();
    await reading;
    expect([kinds[0], kinds[1], kinds.at(-1)]).toEqual(['following', 'leading', 'stopped']);
  });

  it('on() tells events of one type, until disposed of', async () => {
    const { app, elector } = await applicationOf();
    const told: string[] = [];
    const dispose = app.get(LeaderService).on('stoppedLeading', ({ reason }) => told.push(reason));
    elector.grant();
    elector.revoke('leaseGone');
    dispose();
    elector.grant();
    elector.revoke('deadline');
    expect(told).toEqual(['leaseGone']);
    await app.close();
  });

  it('a listener that throws disturbs neither the others nor the election', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const told: string[] = [];
    leader.on('startedLeading', () => {
      throw new Error('planted');
    });
    leader.on('startedLeading', () => told.push('second'));
    leader.on('error', ({ error }) => told.push(error.code));
    elector.grant();
    expect(told).toEqual(['second', 'LEADER_LISTENER_FAILED']);
    expect(leader.isLeader()).toBe(true);
    await app.close();
  });

  it('one that rejects does not end the process, even if the listener of errors throws', async () => {
    const { app, elector } = await applicationOf();
    const leader = app.get(LeaderService);
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    const told = new Promise<string>((resolve) => {
      leader.on('error', ({ error }) => {
        resolve(error.code);
        throw new Error('planted');
      });
    });
    leader.on('startedLeading', () => Promise.reject(new Error('rejected')));
    elector.grant();
    expect(await told).toBe('LEADER_LISTENER_FAILED');
    // Node looks for unhandled rejections between two turns.
    await setImmediate();
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
    await app.close();
  });
});
