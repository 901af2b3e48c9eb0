/** Requests on behalf of users do not disturb the election's own requests. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, isLeaderError } from '../../lib/election/index.js';
import type { SimulatedRequest } from '../../lib/testing/simulated-lease.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

async function leader(): Promise<{ world: World; baz: Candidate; sent: SimulatedRequest[] }> {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(1_000);
  const sent: SimulatedRequest[] = [];
  baz.lock.fate = (request) => {
    sent.push(request);
    return 'answer';
  };
  return { world, baz, sent };
}

const isRead = ({ verb }: SimulatedRequest): boolean => verb === 'get';
const isWrite = ({ verb }: SimulatedRequest): boolean => verb !== 'get';

describe('confirm(), fifty times a second', () => {
  it('while renewals hang: they are sent once per retryPeriod, as without confirm()', async () => {
    const count = async (confirmsASecond: number): Promise<{ writes: number; connections: number }> => {
      const { world, baz, sent } = await leader();
      baz.lock.fate = (request) => {
        sent.push(request);
        return isRead(request) ? 'answer' : 'lose';
      };
      const until = world.time.now + 8_900;
      while (world.time.now < until) {
        if (confirmsASecond > 0 && baz.leads) void baz.term.confirm().catch(() => undefined);
        await world.time.advance(1_000 / Math.max(confirmsASecond, 1));
      }
      return {
        writes: sent.filter(isWrite).length,
        connections: sent.filter(({ newConnection }) => newConnection).length,
      };
    };
    const [with50, without] = [await count(50), await count(0)];
    expect(with50.writes).toBe(without.writes);
    expect(with50.connections).toBeLessThanOrEqual(without.connections);
  });

  it('in the normal case: neither more renewals nor new connections', async () => {
    const { world, baz, sent } = await leader();
    for (let confirms = 0; confirms < 500; confirms++) {
      await Promise.all([baz.term.confirm(), world.time.advance(20)]);
    }
    expect(sent.filter(isWrite).length).toBeLessThanOrEqual(3);
    expect(sent.filter(({ newConnection }) => newConnection)).toEqual([]);
  });

  it('after Retry-After: the next renewal waits as long as the API server asked', async () => {
    const { world, baz, sent } = await leader();
    baz.lock.fate = (request) => {
      sent.push(request);
      if (isRead(request) || sent.filter(isWrite).length > 1) return 'answer';
      return new LeaseRequestError('LEADER_THROTTLED', 'planted', {
        maybeCommitted: false,
        retryAfterMs: 3_000,
      });
    };
    await world.time.advanceUntil(() => sent.some(isWrite), 4_000);
    const throttledAt = world.time.now;
    while (sent.filter(isWrite).length < 2) {
      void baz.term.confirm();
      await world.time.advance(20);
    }
    expect(world.time.now - throttledAt).toBeGreaterThanOrEqual(3_000);
  });
});

describe('concurrent calls of confirm()', () => {
  it('share one read', async () => {
    const { world, baz, sent } = await leader();
    const { term } = baz;
    const confirms = Promise.all(Array.from({ length: 20 }, () => term.confirm()));
    await world.time.advance(10);
    await confirms;
    expect(sent.filter(isRead)).toHaveLength(1);
  });

  it('share the next read while one is in flight', async () => {
    const { world, baz, sent } = await leader();
    const { term } = baz;
    const first = term.confirm();
    await world.time.advance(1);
    const later = Array.from({ length: 20 }, () => term.confirm());
    await world.time.advance(10);
    await Promise.all([first, ...later]);
    expect(sent.filter(isRead)).toHaveLength(2);
  });

  it('are never answered by a read that was sent before them', async () => {
    const { world, baz } = await leader();
    baz.lock.watchStalled = true;
    const { term } = baz;
    const first = term.confirm();
    await world.time.advance(1.5); // it has read, and the reply is under way
    world.lease.edit(recordOf('bing'));
    const second = term.confirm();
    const refused = expect(second).rejects.toMatchObject({ code: 'LEADER_TERM_OVER' });
    await world.time.advance(10);
    await first;
    await refused;
  });

  it('wait for a read that hangs for a retryPeriod, and its callers are answered by the next read', async () => {
    const { world, baz, sent } = await leader();
    let reads = 0;
    baz.lock.fate = (request) => {
      sent.push(request);
      return isRead(request) && reads++ === 0 ? 'lose' : 'answer';
    };
    const { term } = baz;
    const first = term.confirm();
    await world.time.advance(100);
    const second = term.confirm();
    await world.time.advance(2_000);
    await Promise.all([first, second]);
    expect(sent.filter(isRead).map(({ newConnection }) => newConnection)).toEqual([false, true]);
  });
});

describe('a confirm() that its caller aborts', () => {
  it("rejects with the reason of the caller's signal, and the other calls are answered", async () => {
    const { world, baz } = await leader();
    const { term } = baz;
    const giveUp = new AbortController();
    const refused = expect(term.confirm({ signal: giveUp.signal })).rejects.toThrow('no time');
    const other = term.confirm();
    giveUp.abort(new Error('no time'));
    await world.time.advance(10);
    await refused;
    await other;
  });

  it('sends nothing if the signal has already fired', async () => {
    const { world, baz, sent } = await leader();
    const refused = expect(
      baz.term.confirm({ signal: AbortSignal.abort(new Error('no time')) }),
    ).rejects.toThrow('no time');
    await world.time.advance(10);
    await refused;
    expect(sent).toEqual([]);
  });

  it.each<[string, 'lose' | 'answer']>([
    ['given up', 'answer'],
    ['that hangs', 'lose'],
  ])('%s: the next renewal is on time and uses the existing connection', async (_, fate) => {
    const { world, baz, sent } = await leader();
    baz.lock.fate = (request) => {
      sent.push(request);
      return isRead(request) ? fate : 'answer';
    };
    await world.time.advance(2_000);
    const giveUp = new AbortController();
    const confirmed = baz.term.confirm({ signal: giveUp.signal }).catch((error: unknown) => error);
    await world.time.advance(fate === 'lose' ? 100 : 0);
    giveUp.abort();
    await confirmed;
    await world.time.advance(1_000);
    expect(sent.filter(isWrite).map(({ newConnection }) => newConnection)).toEqual([false]);
  });

  it('leaves nothing pending when the election ends, also if its read was not sent yet', async () => {
    const { world, baz, sent } = await leader();
    baz.lock.fate = (request) => {
      sent.push(request);
      return isRead(request) ? 'lose' : 'answer';
    };
    const { term } = baz;
    const first = term.confirm().catch((error: unknown) => error);
    await world.time.advance(100);
    const second = term.confirm().catch((error: unknown) => error);
    baz.stop();
    await world.time.advance(100);
    for (const error of await Promise.all([first, second])) expect(isLeaderError(error)).toBe(true);
    expect([baz.ended, baz.clock.timers, sent.filter(isRead).length]).toEqual([true, 0, 1]);
  });
});

describe('askForLease()', () => {
  it('says whether the holder was asked, and asks nobody while this process leads', async () => {
    const { world, baz, sent } = await leader();
    const bing = world.start('bing');
    await world.time.advance(1_000);
    const ask = async ({ elector }: Candidate): Promise<boolean> => {
      const asked = elector.askForLease();
      await world.time.advance(100);
      return asked;
    };
    expect(await ask(baz)).toBe(false);
    expect(sent).toEqual([]);
    let asks = 0;
    bing.lock.fate = ({ verb }) => (verb === 'update' && asks++ === 0 ? { conflict: true } : 'answer');
    expect(await ask(bing)).toBe(false);
    expect(bing.leads).toBe(false);
    expect(await ask(bing)).toBe(true);
    expect(bing.leads).toBe(true);
    expect([...baz.story, ...bing.story].filter((line) => line.startsWith('error'))).toEqual([]);
  });

  it('that fails does not delay a claim, even if the API server asked to wait', async () => {
    const world = new World();
    const baz = world.start('baz', { spread: true });
    await world.time.advance(100);
    const bing = world.start('bing', { spread: true });
    await world.time.advance(900);
    let asks = 0;
    bing.lock.fate = ({ verb }) =>
      verb !== 'get' && asks++ === 0
        ? new LeaseRequestError('LEADER_THROTTLED', 'planted', { maybeCommitted: false, retryAfterMs: 9_000 })
        : 'answer';
    void bing.elector.askForLease();
    await world.time.advance(10);
    expect(bing.story).toContain('error LEADER_THROTTLED');
    baz.stop();
    await world.time.advanceUntil(() => bing.leads, 20);
  });

  it('that hangs does not make the next claim use a new connection', async () => {
    const world = new World();
    const baz = world.start('baz', { spread: true });
    await world.time.advance(100);
    const bing = world.start('bing', { spread: true });
    await world.time.advance(900);
    const sent: SimulatedRequest[] = [];
    bing.lock.fate = (request) => (sent.push(request) === 1 ? 'lose' : 'answer');
    void bing.elector.askForLease();
    await world.time.advance(10);
    baz.stop();
    await world.time.advanceUntil(() => bing.leads, 20);
    expect(sent.map(({ newConnection }) => newConnection)).toEqual([false, false]);
  });
});
