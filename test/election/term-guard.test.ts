/** The guard of a term: the election waits for it, for a limited time, before it announces a term and before it releases the lease. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeaderError, type Clock, type LeadershipTerm, type TermGuard } from '../../lib/election/index.js';
import { World, type Candidate } from './candidate.js';

type Act = (signal: AbortSignal) => Promise<void>;

/** A guard that a test controls, and that records its calls. */
class ScriptedGuard implements TermGuard {
  readonly story: string[] = [];
  readonly started: LeadershipTerm[] = [];
  /** The signal that the last atStart() got. */
  signalAtStart: AbortSignal | undefined;
  start: Act = () => Promise.resolve();
  end: Act = () => Promise.resolve();

  async atStart(term: LeadershipTerm, signal: AbortSignal): Promise<void> {
    this.started.push(term);
    this.signalAtStart = signal;
    this.story.push('start');
    await this.start(signal);
    this.story.push('started');
  }

  async atEnd(term: LeadershipTerm, signal: AbortSignal): Promise<void> {
    expect(term).toBe(this.started.at(-1));
    this.story.push('end');
    await this.end(signal);
    this.story.push('ended');
  }
}

const hangs: Act = () => new Promise(() => undefined);
const endsAtSignal: Act = (signal) =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(new LeaderError('LEADER_POD_LABEL_FAILED', 'the Pod is gone'));
    });
  });

function guarded(world: World, guard: TermGuard, options = {}): Candidate {
  return world.start('baz', options, {}, undefined, guard);
}

/** Writes another holder into the lease. */
function seize({ lease }: World): void {
  if (lease.stored !== undefined) lease.edit({ ...lease.stored.record, holderIdentity: 'bing' });
}

function takes(clock: Clock, ms: number): Act {
  return () =>
    new Promise((resolve) => {
      clock.setTimer(ms, resolve);
    });
}

describe('before a term starts', () => {
  it('the election waits for its guard: until then users see a follower, although it holds the lease', async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.start = takes(world.time.clock(), 1_500);
    const baz = guarded(world, guard);
    await world.time.advance(1_000);
    expect(world.lease.stored?.record.holderIdentity).toBe('baz');
    expect(baz.state).toMatchObject({ kind: 'following', leader: 'baz' });
    expect(baz.story).toEqual(['leader baz']);
    await world.time.advance(1_000);
    expect(guard.story).toEqual(['start', 'started']);
    expect(baz.story).toEqual(['leader baz', 'started 1']);
    expect(baz.leads).toBe(true);
  });

  it('a guard that hangs is reported after retryPeriod, and work starts', async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.start = hangs;
    const baz = guarded(world, guard);
    await world.time.advance(2_100);
    expect(baz.story).toEqual(['leader baz', 'error LEADER_GUARD_FAILED', 'started 1']);
    await world.time.advance(60_000);
    expect(baz.leads).toBe(true);
  });

  it.each([
    ['rejects', () => Promise.reject(new Error('no such Pod')), 'LEADER_GUARD_FAILED'],
    ['throws an error of ours when its time is over', endsAtSignal, 'LEADER_POD_LABEL_FAILED'],
  ])('a guard does no harm when it %s', async (_, start, code) => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.start = start;
    const baz = guarded(world, guard);
    await world.time.advance(2_100);
    expect(baz.story.at(-2)).toBe(`error ${code}`);
    expect(baz.leads).toBe(true);
  });

  it('the lease is renewed and the validity runs: a term that is lost meanwhile is never announced', async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.start = hangs;
    // A guard may take longer than a renewal.
    const baz = guarded(world, guard, { retryPeriod: 6_000, renewInterval: 1_000 });
    baz.clock.random = () => 0;
    await world.time.advance(3_500);
    expect(world.lease.stored?.resourceVersion).toBe('4');
    const [term] = guard.started;
    seize(world);
    await world.time.advance(100);
    expect(term?.isOver).toBe(true);
    expect(baz.story).toEqual(['leader baz', 'leader bing']);
    expect(guard.story).toEqual(['start', 'end', 'ended']);
    await world.time.advance(10_000);
    expect(baz.story).toEqual(['leader baz', 'leader bing']);
  });

  it('a guard whose atStart() still runs gets its signal when the term is lost', async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.start = hangs;
    guarded(world, guard);
    await world.time.advance(500);
    expect(guard.signalAtStart?.aborted).toBe(false);
    seize(world);
    await world.time.advance(10);
    expect(guard.signalAtStart?.aborted).toBe(true);
  });

  it("the loss of an unannounced term does not stop the elector with onLost: 'exit': it campaigns", async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.start = hangs;
    const baz = guarded(world, guard, { onLost: 'exit' });
    await world.time.advance(500);
    seize(world);
    guard.start = () => Promise.resolve();
    await world.time.advance(20_000);
    expect([baz.ended, baz.leads]).toEqual([false, true]);
  });

  it('a stop releases the lease, and nothing is announced', async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.start = hangs;
    const baz = guarded(world, guard);
    await world.time.advance(500);
    baz.stop();
    await world.time.advance(10);
    expect(guard.signalAtStart?.aborted).toBe(true);
    expect(guard.story).toEqual(['start', 'end', 'ended']);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect(baz.story).toEqual(['leader baz', 'leader ']);
    expect([baz.ended, world.time.pending]).toEqual([true, 0]);
  });
});

describe('before a release', () => {
  it('the election waits for the guard after the work, with the lease held', async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.end = takes(world.time.clock(), 1_500);
    const baz = guarded(world, guard);
    await world.time.advance(100);
    const leave = baz.term.enter();
    baz.stop();
    await world.time.advance(5_000);
    expect(guard.story).toEqual(['start', 'started']);
    leave();
    await world.time.advance(1_000);
    expect(guard.story.at(-1)).toBe('end');
    expect(world.lease.stored?.record.holderIdentity).toBe('baz');
    await world.time.advance(1_000);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect([baz.story.at(-2), baz.ended]).toEqual(['stopped stopped', true]);
  });

  it('a guard that hangs is given up after retryPeriod', async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.end = hangs;
    const baz = guarded(world, guard);
    await world.time.advance(100);
    baz.stop();
    await world.time.advance(2_100);
    expect(world.lease.stored?.record.holderIdentity).toBe('');
    expect(baz.story.slice(-3)).toEqual(['error LEADER_GUARD_FAILED', 'stopped stopped', 'leader ']);
    expect([baz.ended, world.time.pending]).toEqual([true, 0]);
  });

  it('a guard is called once for a term that is lost while its atEnd() runs', async () => {
    const world = new World();
    const guard = new ScriptedGuard();
    guard.end = hangs;
    const baz = guarded(world, guard);
    await world.time.advance(100);
    void baz.elector.stepDown();
    await world.time.advance(100);
    seize(world);
    await world.time.advance(100);
    expect(baz.story.slice(-2)).toEqual(['stopped superseded', 'leader bing']);
    await world.time.advance(3_000);
    expect(guard.story).toEqual(['start', 'started', 'end']);
  });
});

it('the guard is called at once when a term is lost, while its work still runs', async () => {
  const world = new World();
  const guard = new ScriptedGuard();
  const baz = guarded(world, guard);
  await world.time.advance(100);
  baz.term.enter();
  seize(world);
  await world.time.advance(10);
  expect(guard.story).toEqual(['start', 'started', 'end', 'ended']);
});

it('whatever guards do, terms do not overlap, and each guard is called before the start and after the end', async () => {
  const act = fc.constantFrom<Act>(
    () => Promise.resolve(),
    () => Promise.reject(new Error('no')),
    hangs,
    endsAtSignal,
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(act, act, fc.nat(4_000), fc.boolean()), { maxLength: 8 }),
      async (steps) => {
        const world = new World();
        const guards = [new ScriptedGuard(), new ScriptedGuard()];
        const [baz, bing] = guards.map((guard, index) =>
          world.start(index === 0 ? 'baz' : 'bing', {}, {}, undefined, guard),
        ) as [Candidate, Candidate];
        for (const [start, end, ms, stepsDown] of steps) {
          for (const guard of guards) Object.assign(guard, { start, end });
          await world.time.advance(ms);
          expect([baz.leads, bing.leads]).not.toEqual([true, true]);
          if (stepsDown) for (const { elector } of [baz, bing]) void elector.stepDown({ cooldown: 0 });
        }
        for (const candidate of [baz, bing]) candidate.stop();
        await world.time.advance(30_000);
        expect([baz.ended, bing.ended]).toEqual([true, true]);
        for (const [index, { story }] of [baz, bing].entries()) {
          const told = story
            .filter((line) => /^(started|stopped)/.test(line))
            .map((line) => line.split(' ')[0]);
          expect(told).toEqual(told.map((_, at) => (at % 2 === 0 ? 'started' : 'stopped')));
          const { story: guardStory, started } = guards[index] as ScriptedGuard;
          expect(guardStory.filter((line) => line === 'end')).toHaveLength(started.length);
        }
      },
    ),
    { numRuns: 60 },
  );
});
