/** `term.race()`: operations that take no signal (G5, rule 8). */
import { expect, it } from 'vitest';
import { runInFakeTerm } from '../../lib/testing.js';
import { World } from './candidate.js';

const overBy = (reason: string) => ({ code: 'LEADER_TERM_OVER', reason });

it('settles as the operation does during the term', async () => {
  await runInFakeTerm({}, async ({ term }) => {
    await expect(term.race(Promise.resolve('done'))).resolves.toBe('done');
    await expect(term.race(Promise.reject(new Error('planted')))).rejects.toThrow('planted');
  });
});

it('rejects with the error of the term as soon as that ends, and ignores a later failure of the operation', async () => {
  await runInFakeTerm({}, async ({ term, end }) => {
    let fail: (error: Error) => void = () => undefined;
    const racing = term.race(new Promise((_, reject) => (fail = reject)));
    end('superseded');
    await expect(racing).rejects.toMatchObject(overBy('superseded'));
    // An unhandled rejection would fail the run.
    fail(new Error('planted'));
  });
});

it('rejects at once if the term is over', async () => {
  await runInFakeTerm({}, async ({ term, end }) => {
    end();
    await expect(term.race(new Promise(() => undefined))).rejects.toMatchObject(overBy('deadline'));
    await expect(term.race(Promise.reject(new Error('planted')))).rejects.toMatchObject(overBy('deadline'));
  });
});

it('rejects if the validity has run out before the result, although the signal could not fire yet', async () => {
  const world = new World();
  const baz = world.start('baz');
  await world.time.advance(100);
  let succeed: (value: string) => void = () => undefined;
  const racing = baz.term.race(new Promise<string>((resolve) => (succeed = resolve)));
  // The process is paused for longer than renewDeadline, and then sees the result first.
  world.time.jump(11_000);
  succeed('late');
  await expect(racing).rejects.toMatchObject(overBy('deadline'));
});

it('counts the operation as work of the term until it has settled: the lease is kept until then', async () => {
  const world = new World();
  const baz = world.start('baz');
  const bing = world.start('bing');
  await world.time.advance(1_000);
  let succeed: () => void = () => undefined;
  const racing = baz.term.race(new Promise<void>((resolve) => (succeed = resolve)));
  baz.stop();
  await expect(racing).rejects.toMatchObject(overBy('stopped'));
  await world.time.advance(10_000);
  expect([baz.elector.state.kind, bing.leads]).toEqual(['handingOver', false]);
  succeed();
  await world.time.advance(20);
  expect([baz.ended, bing.leads]).toEqual([true, true]);
});
