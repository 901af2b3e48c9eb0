/** Coordinated elections: two processes never lead, whatever a random world does to candidates and others. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ElectionOptions } from '../../../lib/election/index.js';
import { CoordinatedWorld, type CandidateProcess } from './coordinated-world.js';

const DEEDS = [
  'elect',
  'elect',
  'overthrow',
  'overthrow',
  'overthrow',
  'prefer',
  'delete',
  'stall',
  'stall',
  'drop',
  'lose',
  'loseReply',
  'mend',
  'stepDown',
  'toggle',
  'restart',
] as const;
type Deed = (typeof DEEDS)[number];

interface Part {
  readonly identity: string;
  /** Whether it has the option `coordinated`. Default true. */
  readonly coordinated?: boolean;
  readonly options?: Partial<ElectionOptions>;
}

/** The processes: two of one name, and some without the option, with their own name or that of a candidate. */
const MIXED: readonly Part[] = [
  { identity: 'a' },
  { identity: 'b' },
  { identity: 'b' },
  { identity: 'c' },
  { identity: 'c', coordinated: false },
  { identity: 'p', coordinated: false },
];
/** The controller overwrites the holder's lease duration with its own. */
const OF_DIFFERENT_DURATIONS: readonly Part[] = [
  { identity: 'a', options: { leaseDuration: 40_000, renewDeadline: 30_000 } },
  { identity: 'b' },
  { identity: 'b', options: { leaseDuration: 9_000, renewDeadline: 6_000 } },
  { identity: 'c', options: { lockDelay: 1_000 } },
  { identity: 'd', options: { leaseDuration: 60_000, renewDeadline: 50_000 } },
];

class Fleet {
  readonly world: CoordinatedWorld;
  readonly members: CandidateProcess[];
  /** Processes that may miss events. */
  readonly #deaf = new Set<CandidateProcess>();

  constructor(
    readonly cast: readonly Part[],
    seed: number,
  ) {
    this.world = new CoordinatedWorld(seed);
    this.members = cast.map((_, index) => this.#start(index));
  }

  /** Lets time pass; at each instant at most one process leads, including those that were replaced. */
  async pass(ms: number): Promise<void> {
    const until = this.world.time.now + ms;
    do expect(this.world.leaders.length).toBeLessThan(2);
    while (await this.world.time.step(until));
  }

  async befall(index: number, deed: Deed): Promise<void> {
    const { lease } = this.world;
    const member = this.#member(index);
    const { identity } = member.elector;
    if (deed === 'elect') this.world.elect(identity);
    else if (deed === 'overthrow') this.#overthrow(member);
    else if (deed === 'delete') this.#delete();
    else if (deed === 'prefer' && lease.stored !== undefined) this.world.prefer(identity);
    else if (deed === 'stepDown') void member.elector.stepDown();
    else if (deed === 'toggle') member.learn(member.elects !== true);
    // A process that starts after a deletion by hand cannot know of the deleted Lease (not guaranteed).
    else if (deed === 'restart' && lease.stored?.record.acquireTime !== undefined) {
      member.cutOff();
      this.members[index] = this.#start(index);
      await this.pass(20);
    } else this.#suffer(member, deed);
  }

  /** Deletes the Lease by hand. A process that never saw a Lease cannot respect its holder (not guaranteed). */
  #delete(): void {
    if (!this.members.some((member) => this.#deaf.has(member))) this.world.lease.delete();
  }

  mend(): void {
    for (const member of this.members) {
      this.#suffer(member, 'mend');
      member.learn(true);
    }
  }

  /** The leader does not see it, and the elected process may have seen nothing for long. */
  #overthrow(by: CandidateProcess): void {
    for (const leader of this.world.candidates) {
      if (!leader.leads || leader === by) continue;
      leader.cutOff();
      this.#deaf.add(leader);
    }
    by.lock.fate = () => 'answer';
    by.lock.watchStalled = false;
    this.world.elect(by.elector.identity);
  }

  #suffer(member: CandidateProcess, deed: Deed): void {
    const { lock } = member;
    this.#deaf.add(member);
    if (deed === 'stall') lock.watchStalled = true;
    else if (deed === 'drop') lock.eventFate = () => ({ dropped: true });
    else if (deed === 'lose' || deed === 'loseReply') lock.fate = () => deed;
    else if (deed === 'mend') {
      lock.fate = () => 'answer';
      lock.eventFate = () => ({});
      lock.watchStalled = false;
      lock.endWatch();
      this.#deaf.delete(member);
    }
  }

  #member(index: number): CandidateProcess {
    const member = this.members[index];
    if (member === undefined) throw new Error('there is none');
    return member;
  }

  #start(index: number): CandidateProcess {
    const { identity = '', options = {}, coordinated = true } = this.cast[index] ?? {};
    return this.world.start(identity, options, {}, { coordinated });
  }
}

it.each([
  { who: 'candidates and others', cast: MIXED, numRuns: 300, seed: 1, longestMs: 20_000 },
  { who: 'durations that differ', cast: OF_DIFFERENT_DURATIONS, numRuns: 150, seed: 9, longestMs: 65_000 },
])(
  'two never lead, however wrongly the server elects, and however much is lost on the way: $who',
  async ({ cast, numRuns, seed: firstSeed, longestMs }) => {
    const step = fc.tuple(
      fc.constantFrom(...DEEDS),
      fc.nat({ max: cast.length - 1 }),
      fc.integer({ min: 0, max: 12_000 }),
    );
    let terms = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 50 }), fc.integer(), async (steps, seed) => {
        const fleet = new Fleet(cast, seed);
        const { world } = fleet;
        await fleet.pass(100);
        for (const [deed, index, ms] of steps) {
          await fleet.befall(index, deed);
          await fleet.pass(ms);
        }
        terms += world.story.filter((line) => line.includes(' stops, ')).length;
        // Healing: without faults and without other processes, the elected one leads.
        fleet.mend();
        for (const [index, { coordinated = true }] of cast.entries())
          if (!coordinated) fleet.members[index]?.stop();
        await fleet.pass(3 * longestMs);
        world.elect('a');
        await fleet.pass(longestMs);
        expect(world.leaders).toEqual(['a']);
      }),
      { numRuns, seed: firstSeed },
    );
    expect(terms).toBeGreaterThan(100);
  },
);
