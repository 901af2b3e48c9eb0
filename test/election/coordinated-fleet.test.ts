/** Coordinated elections: that two never lead, in whatever a random world does to candidates and to others. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
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

/** Who plays a part: two of one name, and what has not the option, of a name of its own and of a candidate's. */
const CAST = [
  { identity: 'a', coordinated: true },
  { identity: 'b', coordinated: true },
  { identity: 'b', coordinated: true },
  { identity: 'c', coordinated: true },
  { identity: 'c', coordinated: false },
  { identity: 'p', coordinated: false },
] as const;

class Fleet {
  readonly world: CoordinatedWorld;
  readonly members: CandidateProcess[];
  /** Those that may not hear of everything. */
  readonly #deaf = new Set<CandidateProcess>();

  constructor(seed: number) {
    this.world = new CoordinatedWorld(seed);
    this.members = CAST.map((_, index) => this.#start(index));
  }

  /** Lets time pass; at each instant at most one leads, those counted that were replaced. */
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
    // Who starts where nobody has claimed one since knows nothing of a Lease that was deleted by hand (not guaranteed).
    else if (deed === 'restart' && lease.stored?.record.acquireTime !== undefined) {
      member.cutOff();
      this.members[index] = this.#start(index);
      await this.pass(20);
    } else this.#suffer(member, deed);
  }

  /** By hand. Who hears nothing of a Lease that comes and goes cannot respect who led on it (not guaranteed). */
  #delete(): void {
    if (!this.members.some((member) => this.#deaf.has(member))) this.world.lease.delete();
  }

  mend(): void {
    for (const member of this.members) {
      this.#suffer(member, 'mend');
      member.learn(true);
    }
  }

  /** Whoever leads hears nothing of it, and whoever is elected has perhaps heard nothing for long. */
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
    const { identity = '', coordinated = true } = CAST[index] ?? {};
    return this.world.start(identity, {}, {}, { coordinated });
  }
}

it('two never lead, however wrong whoever elects is, and however much is lost on the way', async () => {
  const step = fc.tuple(
    fc.constantFrom(...DEEDS),
    fc.nat({ max: CAST.length - 1 }),
    fc.integer({ min: 0, max: 12_000 }),
  );
  let terms = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 50 }), fc.integer(), async (steps, seed) => {
      const fleet = new Fleet(seed);
      const { world } = fleet;
      await fleet.pass(100);
      for (const [deed, index, ms] of steps) {
        await fleet.befall(index, deed);
        await fleet.pass(ms);
      }
      terms += world.story.filter((line) => line.includes(' stops, ')).length;
      // Healing: without faults, and without those who take no part, the one that is elected leads.
      fleet.mend();
      for (const [index, { coordinated }] of CAST.entries()) if (!coordinated) fleet.members[index]?.stop();
      await fleet.pass(60_000);
      world.elect('a');
      await fleet.pass(20_000);
      expect(world.leaders).toEqual(['a']);
    }),
    { numRuns: 300, seed: 1 },
  );
  expect(terms).toBeGreaterThan(100);
});
