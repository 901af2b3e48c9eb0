/** stepDown() and runAsLeader() in work of the term whose end they wait for. */
import { setImmediate } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { EMPTY } from 'rxjs';
import { afterEach, expect, it } from 'vitest';
import {
  LeaderService,
  OnStartedLeading,
  OnlyWhenLeader,
  currentTerm,
  isLeaderError,
} from '../../lib/index.js';
import { inEachTerm } from '../../lib/nest/gate/refusal.js';
import { handleOf, type LeaderHandle } from '../../lib/nest/leader-handle.js';
import { applicationOf, type Tested } from './application.js';

let tested: Tested | undefined;
afterEach(async () => {
  await tested?.app.close();
  tested = undefined;
});

/** A gated method that does what a test wants. */
async function leading(): Promise<{ leader: LeaderService; gated: Gated }> {
  tested = await applicationOf(Gated);
  tested.elector.grant();
  return { leader: tested.app.get(LeaderService), gated: tested.app.get(Gated) };
}

@Injectable()
class Gated {
  @OnlyWhenLeader()
  async run<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }
}

it('stepDown() in gated work resolves when the hand-over has begun, which ends with the work', async () => {
  const { leader, gated } = await leading();
  const seen = await gated.run(async () => {
    await leader.stepDown();
    return [leader.state.kind, currentTerm().signal.aborted];
  });
  expect(seen).toEqual(['handingOver', true]);
  await setImmediate();
  expect(leader.state.kind).toBe('following');
});

it('stepDown() twice, or in a later call of the work, does the same', async () => {
  const { leader, gated } = await leading();
  await gated.run(async () => {
    await leader.stepDown();
    await setImmediate();
    await Promise.all([leader.stepDown(), leader.stepDown()]);
  });
  await setImmediate();
  expect(leader.state.kind).toBe('following');
});

it.each<[string, (leader: LeaderService) => Promise<unknown>]>([
  ['stepDown', (leader) => leader.stepDown()],
  ['runAsLeader', (leader) => leader.runAsLeader(() => undefined)],
])('%s() in work that has outlived its term does not wait for itself either', async (_method, wait) => {
  const { leader, gated } = await leading();
  let go = (): void => undefined;
  const working = gated.run(async () => {
    await new Promise<void>((resolve) => (go = resolve));
    await wait(leader);
    return leader.state.kind;
  });
  tested?.elector.revoke('deadline');
  tested?.elector.grant();
  go();
  expect(await working).toBe('handingOver');
  await setImmediate();
  expect(leader.state.kind).toBe('following');
});

it('stepDown() in other work waits for the end of the term', async () => {
  const { leader, gated } = await leading();
  let end = (): void => undefined;
  const working = gated.run(() => new Promise<void>((resolve) => (end = resolve)));
  const order: string[] = [];
  const handingOver = leader.stepDown().then(() => order.push('handed over'));
  await setImmediate();
  order.push('ends');
  end();
  await Promise.all([working, handingOver]);
  expect(order).toEqual(['ends', 'handed over']);
});

it('runAsLeader() in gated work runs in its term, and its end begins the hand-over', async () => {
  const { leader, gated } = await leading();
  const term = leader.term;
  const seen = await gated.run(async () => {
    const inner = await leader.runAsLeader(() => currentTerm() === term && leader.isLeader());
    return [inner, leader.state.kind];
  });
  expect(seen).toEqual([true, 'handingOver']);
  await setImmediate();
  expect(leader.state.kind).toBe('following');
});

it('runAsLeader() in a task of runAsLeader() ends nothing', async () => {
  const { leader } = await leading();
  const seen = await leader.runAsLeader(async () => {
    const inner = await leader.runAsLeader(() => 'inner');
    return [inner, leader.state.kind];
  });
  expect(seen).toEqual(['inner', 'leading']);
  expect(leader.state.kind).toBe('following');
});

it('runAsLeader() in @OnStartedLeading() does the same', async () => {
  @Injectable()
  class Hooked {
    seen: unknown;
    constructor(private readonly leader: LeaderService) {}

    @OnStartedLeading()
    async started(): Promise<void> {
      this.seen = await this.leader.runAsLeader(() => 'done');
      await this.leader.stepDown();
    }
  }
  tested = await applicationOf(Hooked);
  tested.elector.grant();
  await setImmediate();
  await setImmediate();
  expect([tested.app.get(Hooked).seen, tested.elector.state.kind]).toEqual(['done', 'following']);
});

it.each<[string, (leader: LeaderService) => Promise<unknown>]>([
  ['whenLeader', (leader) => leader.whenLeader()],
  ['runAsLeader', (leader) => leader.runAsLeader(() => undefined)],
])(
  '%s() in work of a term that is being handed over is refused with the error of the term',
  async (_method, wait) => {
    const { leader, gated } = await leading();
    const error = await gated.run(async () => {
      void leader.stepDown();
      return wait(leader).catch((refused: unknown) => refused);
    });
    expect(isLeaderError(error, 'LEADER_TERM_OVER')).toBe(true);
    await setImmediate();
    expect(leader.state.kind).toBe('following');
  },
);

it('the last of several tasks of runAsLeader() hands over', async () => {
  const { leader } = await leading();
  let end = (): void => undefined;
  const long = leader.runAsLeader(async ({ signal }) => {
    await new Promise<void>((resolve) => (end = resolve));
    return signal.aborted;
  });
  await setImmediate();
  expect(await leader.runAsLeader(() => 'short')).toBe('short');
  await expect(leader.runAsLeader(() => Promise.reject(new Error('its own')))).rejects.toThrow('its own');
  expect(leader.state.kind).toBe('leading');
  end();
  expect(await long).toBe(false);
  expect(leader.state.kind).toBe('following');
});

it('a task with stepDown: false keeps the lease when it has ended, also when it fails or runs in a term', async () => {
  const { leader, gated } = await leading();
  const { term } = leader;
  expect(await leader.runAsLeader(() => 'done', { stepDown: false })).toBe('done');
  const failing = leader.runAsLeader(() => Promise.reject(new Error('its own')), { stepDown: false });
  await expect(failing).rejects.toThrow('its own');
  await gated.run(() => leader.runAsLeader(() => undefined, { stepDown: false }));
  await setImmediate();
  expect(leader.term).toBe(term);
  await leader.runAsLeader(() => 'done');
  expect(leader.state.kind).toBe('following');
});

it.each([
  ['first', true, false],
  ['last', false, true],
  ['first and last', true, true],
  ['never', false, false],
])('of two tasks, the one that ends %s asks for the hand-over', async (_, first, last) => {
  const { leader } = await leading();
  const ends: (() => void)[] = [];
  const [one, other] = [first, last].map((stepDown) =>
    leader.runAsLeader(() => new Promise<void>((resolve) => ends.push(resolve)), { stepDown }),
  );
  await setImmediate();
  ends[0]?.();
  await one;
  expect(leader.state.kind).toBe('leading');
  ends[1]?.();
  await other;
  expect(leader.state.kind).toBe(first || last ? 'following' : 'leading');
});

it('stepDown must be true or false', async () => {
  const { leader } = await leading();
  await expect(leader.runAsLeader(() => 1, { stepDown: 'no' as never })).rejects.toMatchObject({
    code: 'LEADER_INVALID_OPTIONS',
    message: expect.stringContaining("stepDown is 'no': it must be true or false"),
  });
  expect(leader.isLeader()).toBe(true);
});

it('tasks that waited for the same term run in it together', async () => {
  tested = await applicationOf();
  const leader = tested.app.get(LeaderService);
  const tasks = [1, 2, 3].map((turns) =>
    leader.runAsLeader(async (term) => {
      for (let turn = 0; turn < turns; turn++) await setImmediate();
      return [term.fencingToken, term.signal.aborted];
    }),
  );
  tested.elector.grant({ fencingToken: 5n });
  expect(await Promise.all(tasks)).toEqual(Array(3).fill([5n, false]));
  expect(leader.state.kind).toBe('following');
});

it('a saga that rests because gated work has ended its term is called in the next one', async () => {
  const { leader, gated } = await leading();
  const terms: unknown[] = [];
  const saga = inEachTerm(handleOf(leader) as LeaderHandle, () => {
    terms.push(leader.term?.fencingToken);
    return EMPTY;
  });
  let failed: unknown;
  const subscription = saga.subscribe({ error: (error: unknown) => (failed = error) });
  await setImmediate();
  await gated.run(() => leader.stepDown());
  await setImmediate();
  tested?.elector.grant();
  await setImmediate();
  expect([terms, failed]).toEqual([[1n, 2n], undefined]);
  subscription.unsubscribe();
});
