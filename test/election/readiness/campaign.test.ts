/** A candidate that decides once, at its start, whether to campaign. */
import { describe, expect, it } from 'vitest';
import { Campaign } from '../../../lib/election/internal.js';
import {
  SlotElector,
  Readiness,
  resolveElectionOptions,
  type CampaignChoice,
  type Candidacy,
  type Clock,
  type ElectorState,
} from '../../../lib/election/index.js';
import { LeaderError } from '../../../lib/election/errors.js';
import { SimulatedLease, SimulatedTime } from '../../../lib/testing.js';
import { World } from '../candidate.js';

const retryPeriod = 2_000;
const deciding =
  (choice: false | CampaignChoice, candidacyOf?: (clock: Clock) => Candidacy) =>
  (clock: Clock): Campaign =>
    new Campaign({ choice, retryPeriod, clock, candidacy: candidacyOf?.(clock) });

const campaignsIn = (state: ElectorState): false | undefined =>
  state.kind === 'following' ? state.campaigns : undefined;

describe('a process that does not campaign', () => {
  it('knows who leads, writes nothing, and never stands: not when the lease is released, nor when it expires', async () => {
    const world = new World();
    const script = world.start('script', {}, {}, deciding(false));
    const bing = world.start('bing');
    await world.time.advance(100);
    expect(script.story).toEqual(['leader bing']);
    expect(campaignsIn(script.state)).toBe(false);
    expect(campaignsIn(bing.state)).toBeUndefined();
    bing.stop();
    await world.time.advance(120_000);
    expect(script.leads).toBe(false);
    expect(script.story).toEqual(['leader bing', 'leader ']);
    expect(world.lease.stored?.record).toMatchObject({ holderIdentity: '', leaseTransitions: 0 });
  });

  it('is shown in the state when a function decides so', async () => {
    const world = new World();
    let answer: (campaigns: boolean) => void = () => undefined;
    const answered = new Promise<boolean>((resolve) => {
      answer = resolve;
    });
    const baz = world.start(
      'baz',
      {},
      {},
      deciding(() => answered),
    );
    await world.time.advance(60_000);
    expect(baz.leads).toBe(false);
    expect(campaignsIn(baz.state)).toBeUndefined();
    answer(false);
    await world.time.advance(60_000);
    expect(baz.leads).toBe(false);
    expect(campaignsIn(baz.state)).toBe(false);
    expect(baz.story).toEqual([]);
  });

  it('is shown by an elector of several leases, too', async () => {
    const world = new World();
    const elector = new SlotElector({
      locks: [new SimulatedLease(world.time).lock('baz'), new SimulatedLease(world.time).lock('baz')],
      options: resolveElectionOptions({ leaseName: 'x' }, { leaseNamespace: 'ns', identity: 'baz' }),
      clock: world.time.clock(),
      candidacy: deciding(false)(world.time.clock()),
    });
    const stop = new AbortController();
    const stopped = elector.run(stop.signal, () => undefined);
    await world.time.advance(60_000);
    expect(elector.state).toMatchObject({ kind: 'following', campaigns: false });
    stop.abort();
    await world.time.advance(1);
    await stopped;
  });
});

describe('a process that is told to campaign', () => {
  it('leads a round trip after the answer', async () => {
    const world = new World();
    const baz = world.start(
      'baz',
      {},
      {},
      deciding(() => true),
    );
    await world.time.advance(100);
    expect(baz.leads).toBe(true);
  });

  it('heeds its readiness check from then on, which is not called before', async () => {
    const world = new World();
    let calls = 0;
    let ready = false;
    let answer: (campaigns: boolean) => void = () => undefined;
    const answered = new Promise<boolean>((resolve) => {
      answer = resolve;
    });
    const check = (): boolean => {
      calls += 1;
      return ready;
    };
    const readiness = (clock: Clock): Candidacy => new Readiness({ check, interval: 1_000, clock });
    const baz = world.start(
      'baz',
      {},
      {},
      deciding(() => answered, readiness),
    );
    await world.time.advance(10_000);
    expect(calls).toBe(0);
    answer(true);
    await world.time.advance(10_000);
    expect(baz.story).toEqual(['error LEADER_NOT_READY']);
    ready = true;
    await world.time.advance(1_100);
    expect(baz.leads).toBe(true);
  });
});

describe('a choice that fails', () => {
  it('is reported once, and made again every retryPeriod until it succeeds', async () => {
    const world = new World();
    let calls = 0;
    const baz = world.start(
      'baz',
      {},
      {},
      deciding(() => {
        calls += 1;
        if (calls < 4) throw new Error('no configuration yet');
        return true;
      }),
    );
    await world.time.advance(3 * retryPeriod - 1);
    expect(calls).toBe(3);
    expect(baz.story).toEqual(['error LEADER_NOT_READY']);
    expect(baz.state).toMatchObject({
      kind: 'following',
      error: { code: 'LEADER_NOT_READY', cause: { message: 'no configuration yet' } },
    });
    await world.time.advance(100);
    expect(baz.leads).toBe(true);
    expect(baz.state).toMatchObject({ error: undefined });
  });

  it('fails with an answer that is neither true nor false', async () => {
    const world = new World();
    const baz = world.start('baz', {}, {}, deciding((() => 'no') as unknown as CampaignChoice));
    await world.time.advance(100);
    expect(baz.leads).toBe(false);
    expect(baz.state).toMatchObject({
      error: { cause: { message: 'It returned string: it must return true or false, or a promise of one.' } },
    });
  });

  it('is not made again after the end', async () => {
    const world = new World();
    let calls = 0;
    const baz = world.start(
      'baz',
      {},
      {},
      deciding(() => {
        calls += 1;
        throw new Error('no configuration');
      }),
    );
    await world.time.advance(100);
    baz.stop();
    await world.time.advance(60_000);
    expect(calls).toBe(1);
  });
});

/** A campaign whose answer the test gives. Its candidacy objects. */
class Asked {
  readonly time = new SimulatedTime();
  /** What happened, in order. */
  readonly story: string[] = [];
  answer: (answer: boolean) => void = () => undefined;
  fail: (error: Error) => void = () => undefined;
  readonly objection = new LeaderError('LEADER_NOT_READY', 'planted');
  readonly campaign: Campaign;
  readonly end: () => void;

  constructor(choice?: false) {
    this.campaign = new Campaign({
      choice: choice ?? (() => this.#question()),
      retryPeriod,
      candidacy: {
        stands: true,
        objection: this.objection,
        observe: () => {
          this.story.push('observed');
          return () => this.story.push('no longer observed');
        },
      },
      clock: this.time.clock(),
    });
    this.end = this.campaign.observe(() => this.story.push('changed'));
  }

  #question(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.answer = resolve;
      this.fail = reject;
    });
  }
}

describe('the candidacy of a process that may campaign', () => {
  it('counts from when the process is told to, and is observed from then until the end', async () => {
    const asked = new Asked();
    const { campaign, objection, story } = asked;
    expect([campaign.stands, campaign.objection]).toEqual([false, undefined]);
    asked.answer(true);
    await asked.time.settle();
    expect([campaign.stands, campaign.objection]).toEqual([true, objection]);
    asked.end();
    expect(story).toEqual(['observed', 'changed', 'no longer observed']);
  });

  it('does not count if the process is told not to', async () => {
    const asked = new Asked();
    asked.answer(false);
    await asked.time.settle();
    asked.end();
    expect([asked.campaign.stands, asked.campaign.objection]).toEqual([false, undefined]);
    expect(asked.story).toEqual(['changed']);
  });

  it('is always there if none is given', async () => {
    const campaign = new Campaign({ choice: () => true, retryPeriod });
    campaign.observe(() => undefined);
    await new SimulatedTime().settle();
    expect(campaign.stands).toBe(true);
  });

  it('is not observed if the process does not campaign, and nothing changes', async () => {
    const asked = new Asked(false);
    await asked.time.settle();
    asked.end();
    expect([asked.campaign.abstains, asked.story]).toEqual([true, []]);
  });

  it.each<[string, (asked: Asked) => void]>([
    [
      'an answer',
      ({ answer }) => {
        answer(true);
      },
    ],
    [
      'a failure',
      ({ fail }) => {
        fail(new Error('planted'));
      },
    ],
  ])('changes nothing any more after the end: %s', async (_, late) => {
    const asked = new Asked();
    asked.end();
    late(asked);
    await asked.time.advance(10 * retryPeriod);
    expect(asked.story).toEqual([]);
  });
});

it('without a clock, waits by that of the system until it asks again', async () => {
  const campaign = new Campaign({ choice: () => Promise.reject(new Error('planted')), retryPeriod });
  const end = campaign.observe(() => undefined);
  await new SimulatedTime().settle();
  expect(campaign.objection).toMatchObject({ code: 'LEADER_NOT_READY' });
  end();
});
