/** Two things that happen at one instant: which events are emitted, and in which order (G4, G5, rules 8 and 10). */
import { describe, expect, it } from 'vitest';
import type { ElectionEvent } from '../../lib/election/index.js';
import { World } from './candidate.js';
import { recordOf } from './records.js';

describe('a term', () => {
  it('whose validity runs out while it begins is announced as begun, then as over', async () => {
    for (let look = 1; look < 12; look++) {
      const world = new World();
      const baz = world.prepare('baz');
      baz.lock.watchStalled = true;
      const { now } = baz.clock;
      let looks = Number.NEGATIVE_INFINITY;
      // At the given reading of the clock after the reply to the create, the process is paused for 11 s.
      baz.clock.now = function (this: typeof baz.clock) {
        if (++looks === look) world.time.jump(11_000);
        return now.call(this);
      };
      baz.lock.fate = ({ verb }) => {
        if (verb === 'create') world.time.schedule(1.5, () => (looks = 0));
        return 'answer';
      };
      baz.start();
      await world.time.advance(10);
      const terms = baz.story.filter((line) => line.startsWith('st'));
      for (const [index, line] of terms.entries())
        expect(line, `look ${String(look)}: ${terms.join(', ')}`).toMatch(
          index % 2 === 0 ? /^started/ : /^stopped/,
        );
    }
  });

  it('admits no more work when its hand-over is announced', async () => {
    const world = new World();
    const baz = world.prepare('baz');
    const seen: unknown[] = [];
    const onEvent = (event: ElectionEvent): void => {
      if (event.type !== 'stateChanged' || event.state.kind !== 'handingOver') return;
      const { term } = event.state;
      seen.push(term.isOver, term.signal.aborted);
      expect(() => term.enter()).toThrow(/is over/);
    };
    void baz.elector.run(new AbortController().signal, onEvent);
    await world.time.advance(100);
    await Promise.all([baz.elector.stepDown(), world.time.advance(100)]);
    expect(seen).toEqual([true, true]);
  });
});

describe('a hand-over during which the lease is lost', () => {
  it('keeps its cool-down', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    const leave = baz.term.enter();
    void baz.elector.stepDown({ cooldown: 600_000 });
    world.lease.delete();
    await world.time.advance(10);
    leave();
    await world.time.advance(60_000);
    expect(baz.leads).toBe(false);
  });

  it('lets the process campaign as soon as its work has ended', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(100);
    const leave = baz.term.enter();
    void baz.elector.stepDown({ cooldown: 0 });
    await world.time.advance(10);
    world.lease.edit(recordOf(''));
    await world.time.advance(10);
    leave();
    await world.time.advanceUntil(() => baz.leads, 100);
  });
});

describe('a wall clock that is set forward', () => {
  it('by less than the validity does no harm: the lease is renewed in time', async () => {
    const world = new World();
    const baz = world.start('baz');
    baz.clock.random = () => 0;
    await world.time.advance(3_400);
    baz.clock.stepWall(8_000);
    await world.time.advance(5_000);
    expect(baz.story.filter((line) => line.startsWith('st'))).toEqual(['started 1']);
  });
});
