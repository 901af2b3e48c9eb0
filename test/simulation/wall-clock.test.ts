/** A step of the wall clock costs at most the term and a moment without a leader (ARCHITECTURE.md, rule 2). */
import { describe, expect, it } from 'vitest';
import { World } from '../election/candidate.js';

const HOUR_MS = 3_600_000;
const LEASE_MS = 15_000;

describe('a step of the wall clock', () => {
  it.each([
    ['forward', HOUR_MS],
    ['forward by less than the validity left', 3_000],
    ['backward', -HOUR_MS],
  ])('%s: there is a leader again within milliseconds, much sooner than a lease expires', async (_, byMs) => {
    const world = new World();
    const baz = world.start('baz');
    world.start('bing');
    await world.time.advance(60_000);
    baz.clock.stepWall(byMs);
    let withoutLeaderMs = 0;
    for (let ms = 0; ms < 2 * LEASE_MS; ms++) {
      await world.time.advance(1);
      if (!baz.leads) withoutLeaderMs += 1;
    }
    expect(baz.leads).toBe(true);
    expect(withoutLeaderMs).toBeLessThan(10);
  });
});
