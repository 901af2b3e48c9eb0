/** The marks of the simulation mean what their names say, and a run that does not reach one fails by its name. */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, type ElectionOptions } from '../../lib/election/index.js';
import { ReachedMarks } from '../../lib/testing/simulation/marks.js';
import { World, type Candidate } from '../election/candidate.js';
import { recordOf } from '../election/records.js';
import { plant } from './plant.js';
import { simulateCommand } from './run.js';

const LEASE_MS = 15_000;
const FAILED = new LeaseRequestError('LEADER_SERVER_ERROR', 'planted', { maybeCommitted: true });

function throttled(retryAfterMs: number): LeaseRequestError {
  return new LeaseRequestError('LEADER_THROTTLED', 'planted', { maybeCommitted: false, retryAfterMs });
}

type Play = (world: World, baz: Candidate) => Promise<void>;

/** Plays a story of which `baz` leads, and returns the marks that its election reaches from then on. */
async function reachedIn(play: Play, options: Partial<ElectionOptions> = {}): Promise<string[]> {
  const world = new World();
  const marks = new ReachedMarks();
  const baz = world.prepare('baz', options, {}, undefined, undefined, undefined, marks.trace());
  await play(world, baz);
  return [...marks.counts].filter(([, count]) => count > 0).map(([name]) => name);
}

async function lead(world: World, baz: Candidate): Promise<void> {
  baz.start();
  await world.time.advance(1_000);
  expect(baz.leads).toBe(true);
}

/** `bing` holds the lease, and `baz` follows. */
async function follow(world: World, baz: Candidate): Promise<Candidate> {
  const bing = world.start('bing');
  await world.time.advance(1_000);
  baz.start();
  await world.time.advance(1_000);
  expect([bing.leads, baz.leads]).toEqual([true, false]);
  return bing;
}

/** The next write of this candidate suffers this; all others are answered. */
function nextWrite(candidate: Candidate, fate: ReturnType<Candidate['lock']['fate']>): void {
  let isNext = true;
  candidate.lock.fate = ({ verb }) => {
    const strikes = isNext && verb !== 'get';
    if (strikes) isNext = false;
    return strikes ? fate : 'answer';
  };
}

/** A mark, a story that reaches it, and one that is near and does not. */
interface Case {
  readonly mark: string;
  readonly reached: Play;
  readonly near: Play;
  readonly options?: Partial<ElectionOptions>;
}

const cases: readonly Case[] = [
  {
    mark: 'a renewal succeeds after its term has ended',
    reached: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, { replyDelayMs: 1_000 });
      await world.time.advance(3_000);
      world.lease.edit(recordOf('bing'));
      await world.time.advance(2_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, { replyDelayMs: 1_000 });
      await world.time.advance(5_000);
      world.lease.edit(recordOf('bing'));
      await world.time.advance(2_000);
    },
  },
  {
    mark: 'a read or the watch shows that a void write was stored',
    reached: async (world, baz) => {
      await lead(world, baz);
      // A renewal arrives when the term has run out by the wall clock.
      nextWrite(baz, { delayMs: 1_000 });
      await world.time.advance(2_500);
      baz.clock.stepWall(3_600_000);
      await world.time.advance(1_500);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      // The last renewal of the term was answered, and its record is seen under a new version when the term has ended.
      nextWrite(baz, 'answer');
      await world.time.advance(4_000);
      baz.lock.fate = () => 'lose';
      baz.clock.stepWall(3_600_000);
      await world.time.advance(1_000);
      world.lease.relabel();
      await world.time.advance(100);
    },
  },
  {
    mark: 'a conflict comes after an unknown outcome',
    reached: async (world, baz) => {
      nextWrite(baz, { error: FAILED, carriedOut: true });
      world.lease.edit({ ...recordOf(''), renewTime: undefined });
      baz.lock.watchStalled = true;
      baz.start();
      await world.time.advance(1_000);
    },
    near: async (world, baz) => {
      nextWrite(baz, { error: FAILED, carriedOut: false });
      world.lease.edit({ ...recordOf(''), renewTime: undefined });
      baz.lock.watchStalled = true;
      baz.start();
      await world.time.advance(1_000);
    },
  },
  {
    mark: 'a write that was refused as a conflict was stored',
    reached: async (world, baz) => {
      await lead(world, baz);
      baz.lock.watchStalled = true;
      nextWrite(baz, { conflict: true, carriedOut: true });
      await world.time.advance(5_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      baz.lock.watchStalled = true;
      nextWrite(baz, { conflict: true, carriedOut: false });
      await world.time.advance(5_000);
    },
  },
  {
    mark: 'of a write that was sent again, the first was stored',
    reached: async (world, baz) => {
      await lead(world, baz);
      baz.lock.watchStalled = true;
      nextWrite(baz, 'loseReply');
      await world.time.advance(8_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      baz.lock.watchStalled = true;
      nextWrite(baz, 'lose');
      await world.time.advance(8_000);
    },
  },
  {
    mark: 'a release of unknown outcome was done',
    reached: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, { error: FAILED, carriedOut: true });
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(3_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, { error: FAILED, carriedOut: false });
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(3_000);
    },
  },
  {
    mark: 'a release succeeds after an unknown outcome',
    reached: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, { error: FAILED, carriedOut: false });
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(3_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, { conflict: true, carriedOut: false });
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(3_000);
    },
  },
  {
    mark: 'a process that is to stop waits for its claim in flight',
    reached: async (world, baz) => {
      baz.lock.fate = ({ verb }) => (verb === 'create' ? { replyDelayMs: 500 } : 'answer');
      baz.lock.watchStalled = true;
      baz.start();
      await world.time.advance(100);
      baz.stop();
      await world.time.advance(1_000);
      expect(world.lease.stored?.record.holderIdentity).toBe('');
    },
    near: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, { replyDelayMs: 1_000 });
      await world.time.advance(2_500);
      baz.stop();
      await world.time.advance(3_000);
    },
  },
  {
    mark: 'a Lease is deleted after its holder has sent a release',
    reached: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, 'lose');
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(100);
      world.lease.delete();
      await world.time.advance(100);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(100);
      world.lease.delete();
      await world.time.advance(100);
    },
  },
  {
    mark: 'a read finds a deletion that happened while no watch was open',
    reached: async (world, baz) => {
      const bing = await follow(world, baz);
      bing.lock.fate = () => 'lose';
      baz.lock.endWatch();
      world.lease.delete();
      await world.time.advance(100);
    },
    near: async (world, baz) => {
      const bing = await follow(world, baz);
      bing.lock.fate = () => 'lose';
      world.lease.delete();
      baz.lock.endWatch();
      await world.time.advance(100);
    },
  },
  {
    mark: 'a record was emptied by hand, and its last holder must be respected',
    reached: async (world, baz) => {
      const bing = await follow(world, baz);
      bing.lock.fate = () => 'lose';
      world.lease.edit({ ...recordOf(''), renewTime: world.lease.stored?.record.renewTime });
      await world.time.advance(100);
    },
    near: async (world, baz) => {
      const bing = await follow(world, baz);
      void bing.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(100);
    },
  },
  {
    mark: 'the watch is silent, and a read finds a change',
    reached: async (world, baz) => {
      await follow(world, baz);
      baz.lock.watchStalled = true;
      await world.time.advance(LEASE_MS);
    },
    near: async (world, baz) => {
      const bing = await follow(world, baz);
      bing.lock.fate = () => 'lose';
      await world.time.advance(LEASE_MS - 2_000);
    },
  },
  {
    mark: 'a term runs out by the wall clock alone',
    reached: async (world, baz) => {
      await lead(world, baz);
      baz.clock.stepWall(3_600_000);
      await world.time.advance(1_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      baz.lock.fate = () => 'lose';
      await world.time.advance(LEASE_MS);
    },
  },
  {
    mark: 'a process claims after drainTimeout, although work of its lost term still runs',
    options: { drainTimeout: 5_000 },
    reached: async (world, baz) => {
      await lead(world, baz);
      baz.term.race(new Promise(() => undefined)).catch(() => undefined);
      baz.clock.stepWall(3_600_000);
      await world.time.advance(7_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      await baz.term.race(Promise.resolve());
      baz.clock.stepWall(3_600_000);
      await world.time.advance(7_000);
    },
  },
  {
    mark: 'a claim succeeds after it was void',
    reached: async (world, baz) => {
      nextWrite(baz, { replyDelayMs: 500 });
      baz.lock.watchStalled = true;
      baz.start();
      await world.time.advance(100);
      baz.stop();
      await world.time.advance(1_000);
    },
    near: async (world, baz) => {
      nextWrite(baz, { replyDelayMs: 500 });
      baz.lock.watchStalled = true;
      baz.start();
      await world.time.advance(1_000);
      baz.stop();
      await world.time.advance(1_000);
    },
  },
  {
    mark: 'a write is answered after one that was sent later',
    reached: async (world, baz) => {
      await lead(world, baz);
      baz.lock.watchStalled = true;
      nextWrite(baz, { delayMs: 3_000 });
      await world.time.advance(8_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      baz.lock.watchStalled = true;
      nextWrite(baz, { delayMs: 1_500 });
      await world.time.advance(8_000);
    },
  },
  {
    mark: 'a read and a later sighting disagree on whether there is a Lease',
    reached: async (world, baz) => {
      const bing = await follow(world, baz);
      bing.lock.fate = () => 'lose';
      // The read after the gap shows the Lease, and its reply comes after the watch has shown the deletion.
      baz.lock.fate = ({ verb }) => (verb === 'get' ? { replyDelayMs: 500 } : 'answer');
      baz.lock.endWatch();
      await world.time.advance(100);
      world.lease.delete();
      await world.time.advance(1_000);
    },
    near: async (world, baz) => {
      const bing = await follow(world, baz);
      bing.lock.fate = () => 'lose';
      baz.lock.fate = ({ verb }) => (verb === 'get' ? { replyDelayMs: 500 } : 'answer');
      baz.lock.endWatch();
      await world.time.advance(1_000);
      world.lease.delete();
      await world.time.advance(1_000);
    },
  },
  {
    mark: 'a confirmation is answered after its term has ended',
    reached: async (world, baz) => {
      await lead(world, baz);
      baz.lock.fate = ({ verb }) => (verb === 'get' ? { replyDelayMs: 500 } : 'answer');
      baz.term.confirm().catch(() => undefined);
      await world.time.advance(100);
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(1_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      baz.term.confirm().catch(() => undefined);
      await world.time.advance(100);
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(1_000);
    },
  },
  {
    mark: 'a claim was refused because another process was faster',
    reached: async (world, baz) => {
      const bing = await follow(world, baz);
      const qux = world.start('qux');
      await world.time.advance(1_000);
      // Its claim comes after that of qux, and the reply to it before the event about that.
      nextWrite(baz, { delayMs: 5 });
      baz.lock.eventFate = (event) =>
        event.kind === 'seen' && event.snapshot.record.holderIdentity === 'qux' ? { delayMs: 500 } : {};
      void bing.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(1_000);
      expect(qux.leads).toBe(true);
    },
    near: async (world, baz) => {
      const bing = await follow(world, baz);
      nextWrite(baz, { conflict: true, carriedOut: false });
      void bing.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(1_000);
    },
  },
  {
    mark: 'a leader whose Lease was deleted creates it again at once',
    reached: async (world, baz) => {
      await lead(world, baz);
      world.lease.delete();
      await world.time.advance(1_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      // The deletion is seen when the Lease may have been somebody else's.
      baz.lock.fate = () => 'lose';
      baz.lock.watchStalled = true;
      await world.time.advance(LEASE_MS);
      world.lease.delete();
      baz.lock.fate = () => 'answer';
      await world.time.advance(2 * LEASE_MS);
    },
  },
  {
    mark: 'the watch shows another Lease than the one known',
    reached: async (world, baz) => {
      const bing = await follow(world, baz);
      bing.lock.fate = () => 'lose';
      baz.lock.watchStalled = true;
      world.lease.delete();
      await world.time.advance(100);
      baz.lock.watchStalled = false;
      world.lease.edit(recordOf('qux'));
      await world.time.advance(100);
    },
    near: async (world, baz) => {
      const bing = await follow(world, baz);
      bing.lock.fate = () => 'lose';
      world.lease.delete();
      await world.time.advance(100);
      world.lease.edit(recordOf('qux'));
      await world.time.advance(100);
    },
  },
  {
    mark: 'a leader renews at once, because somebody has edited its record',
    reached: async (world, baz) => {
      await lead(world, baz);
      world.lease.edit({ ...recordOf('baz'), ...world.lease.stored?.record, leaseTransitions: 9 });
      await world.time.advance(100);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      world.lease.relabel();
      await world.time.advance(LEASE_MS);
    },
  },
  {
    mark: 'a process claims when its cool-down ends',
    reached: async (world, baz) => {
      await lead(world, baz);
      void baz.elector.stepDown({ cooldown: 1_000 });
      await world.time.advance(2_000);
    },
    near: async (world, baz) => {
      const bing = await follow(world, baz);
      void bing.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(1_000);
      void baz.elector.stepDown({ cooldown: 20_000 });
      await world.time.advance(21_000);
      expect(bing.leads).toBe(true);
      void bing.elector.stepDown({ cooldown: LEASE_MS });
      await world.time.advance(5_000);
      expect(baz.leads).toBe(true);
    },
  },
  {
    mark: 'a write waits for as long as the server asked',
    reached: async (world, baz) => {
      await lead(world, baz);
      nextWrite(baz, { error: throttled(3_000) });
      await world.time.advance(8_000);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      // It would wait for longer anyway.
      nextWrite(baz, { error: throttled(100) });
      await world.time.advance(8_000);
    },
  },
  {
    mark: 'a term begins by an event, before the reply',
    reached: async (world, baz) => {
      world.lease.edit({ ...recordOf(''), renewTime: undefined });
      nextWrite(baz, { replyDelayMs: 500 });
      baz.start();
      await world.time.advance(100);
      expect(baz.leads).toBe(true);
    },
    near: async (world, baz) => {
      world.lease.edit({ ...recordOf(''), renewTime: undefined });
      baz.lock.eventFate = () => ({ delayMs: 500 });
      await lead(world, baz);
    },
  },
  {
    mark: 'a process is told to stop while its claim is in flight',
    reached: async (world, baz) => {
      nextWrite(baz, { replyDelayMs: 500 });
      baz.lock.watchStalled = true;
      baz.start();
      await world.time.advance(100);
      baz.stop();
    },
    near: async (world, baz) => {
      await lead(world, baz);
      // What is in flight is a renewal of a term that has run out.
      baz.lock.fate = ({ verb }) => (verb === 'get' ? 'answer' : { delayMs: 3_000 });
      await world.time.advance(2_500);
      world.lease.edit(recordOf('bing'));
      await world.time.advance(100);
      baz.stop();
    },
  },
  {
    mark: 'a process stops and leaves its lease to expire, because it must not release it',
    options: { releaseOnCancel: false },
    reached: async (world, baz) => {
      await lead(world, baz);
      baz.stop();
      await world.time.advance(100);
    },
    near: async (world, baz) => {
      await lead(world, baz);
      void baz.elector.stepDown({ cooldown: LEASE_MS });
      baz.stop();
      await world.time.advance(100);
      expect(world.lease.stored?.record.holderIdentity).toBe('');
    },
  },
];

describe('a mark is reached by what its name says, and by nothing like it', () => {
  it.each(cases)('$mark', async ({ mark, reached, near, options }) => {
    expect(await reachedIn(reached, options)).toContain(mark);
    expect(await reachedIn(near, options)).not.toContain(mark);
  });
});

it('what a predicate throws is thrown again, and not lost in the election', () => {
  const marks = new ReachedMarks();
  const trace = marks.trace();
  const strange = [{}, [], {}] as unknown as Parameters<typeof trace>;
  trace(...strange);
  trace(...strange);
  expect(() => marks.counts).toThrow(TypeError);
});

describe('npm run simulate', () => {
  const MARK = 'the watch shows a leader that its Lease was deleted';
  const args = ['--seeds', '10', '--faults', 'leaseDeleted', '--require-marks'];
  /** The marks that this run should have reached, and has not. */
  const missedBy = (output: string): string[] => {
    const [, lines = ''] = /^No election has got into these situations:\n((?: {2}.*\n)+)/m.exec(output) ?? [];
    return lines.trim().split(/\n +/);
  };

  it('with --require-marks fails if a mark is not reached, and names it', () => {
    const { status, output } = simulateCommand([...args, '--marks']);
    const [, reached, all] = /^reached (\d+) of (\d+) marks; rarest: /m.exec(output) ?? [];
    expect(status).toBe(1);
    expect(missedBy(output)).toHaveLength(Number(all) - Number(reached));
    expect(missedBy(output)).toContain('a process exits while it leads');
    expect(missedBy(output)).not.toContain(MARK);
    expect(output.match(/^ +\d+ {2}\S/gm)).toHaveLength(Number(all));
  });

  it('names the mark that is lost when the simulation deletes no Lease any more', () => {
    const copy = plant(
      {
        what: 'a Lease that should be deleted is not',
        changes: [
          [
            'testing/simulation/adversary.js',
            "case 'leaseDeleted':\n                    lease.delete();",
            "case 'leaseDeleted':",
          ],
        ],
      },
      'build/mutants/marks',
    );
    const { status, output } = simulateCommand([...args, '--package', copy]);
    expect(status).toBe(1);
    expect(missedBy(output)).toContain(MARK);
    rmSync(copy, { recursive: true });
  });

  it('with a few seeds demands no marks, and counts them', () => {
    const { status, output } = simulateCommand(['--seeds', '1', '--json']);
    expect(status).toBe(0);
    const { marks } = JSON.parse(output) as { marks: Record<string, number> };
    expect(Object.keys(marks).length).toBeGreaterThanOrEqual(40);
    expect(marks['a process exits while it leads']).toBeGreaterThanOrEqual(0);
  });
});
