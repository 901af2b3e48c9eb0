/** A term on two Leases, which is made of a term on each. */
import { describe, expect, it } from 'vitest';
import {
  LeaderError,
  TermOverError,
  type LeadershipTerm,
  type TermEndReason,
} from '../../../lib/election/index.js';
import type { MonotonicMs, WallMs } from '../../../lib/election/clock.js';
import { GatedWork } from '../../../lib/election/term.js';
import { JointTerm } from '../../../lib/election/two-leases/joint-term.js';

/** A term on one Lease. */
class Single {
  readonly identity = 'me';
  readonly startedAt: WallMs;
  readonly renewedAt: WallMs;
  readonly fencingToken: bigint;
  isOver = false;
  confirm = (): Promise<void> => Promise.resolve();
  readonly #controller = new AbortController();
  readonly #lasts: number;

  constructor(value = 1) {
    this.startedAt = value as WallMs;
    this.renewedAt = value as WallMs;
    this.fencingToken = BigInt(value);
    this.#lasts = value;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Ends it, without its signal: the event loop has not turned since it has run out. */
  runOut(): void {
    this.isOver = true;
  }

  end(reason: TermEndReason): void {
    this.isOver = true;
    this.#controller.abort(new TermOverError('single', reason));
  }

  throwIfOver(): void {
    if (this.isOver) this.end('deadline');
    this.signal.throwIfAborted();
  }

  remaining(): number {
    return this.#lasts;
  }

  toJSON(): Record<string, unknown> {
    return { leaseName: 'single', identity: 'me', slot: 0, fencingToken: 'of one', isOver: 'of one' };
  }
}

const asTerm = (single: Single): LeadershipTerm => single as unknown as LeadershipTerm;

function joined(
  first = new Single(),
  second = new Single(),
): { first: Single; second: Single; work: GatedWork; term: JointTerm } {
  const work = new GatedWork();
  const term = new JointTerm('both', [asTerm(first), asTerm(second)], work, 3 as MonotonicMs);
  return { first, second, work, term };
}

const SIDES = ['first', 'second'] as const;

it.each([
  [5, 7],
  [7, 5],
])('began with its later term, and is as certain as the term that is less so (%d, %d)', (one, other) => {
  const { term } = joined(new Single(one), new Single(other));
  expect(term).toMatchObject({ leaseName: 'both', identity: 'me', slot: 0, beganAt: 3 });
  expect([term.startedAt, term.fencingToken]).toEqual([7, 7n]);
  expect([term.renewedAt, term.remaining()]).toEqual([5, 5]);
  expect(JSON.parse(JSON.stringify(term))).toEqual({
    leaseName: 'both',
    identity: 'me',
    slot: 0,
    fencingToken: '7',
    startedAt: 7,
    renewedAt: 5,
    isOver: false,
    remaining: 5,
  });
});

it('consists of its two terms and of no other', () => {
  const { first, second, term } = joined();
  const [one, other, third] = [first, second, new Single()].map(asTerm);
  expect(term.isOf(one, other)).toBe(true);
  expect([term.isOf(one, third), term.isOf(third, other), term.isOf(undefined, undefined)]).toEqual([
    false,
    false,
    false,
  ]);
});

describe.each(SIDES)('when the %s of its terms', (side) => {
  it('ends, it ends for that reason', () => {
    const { term, ...terms } = joined();
    expect(term.signal.aborted).toBe(false);
    terms[side].end('superseded');
    expect(term.signal.reason).toMatchObject({ leaseName: 'both', reason: 'superseded' });
    expect(term.closeReason).toBe('superseded');
    expect(term.isOver).toBe(true);
  });

  it('has run out, no work begins, and its signal fires at the first check', async () => {
    const { term, work, ...terms } = joined();
    terms[side].runOut();
    expect([term.isOver, term.remaining(), term.signal.aborted]).toEqual([true, 0, false]);
    const over = expect.objectContaining({ leaseName: 'both', reason: 'deadline' }) as Error;
    expect(() => term.enter()).toThrow(over);
    expect(work.running).toBe(0);
    expect(term.signal.aborted).toBe(true);
    expect(await term.race(Promise.resolve()).catch((error: unknown) => error)).toBe(term.signal.reason);
  });

  it('cannot be confirmed, it is unconfirmed', async () => {
    const { term, ...terms } = joined();
    const unconfirmed = new LeaderError('LEADER_UNCONFIRMED', 'planted');
    terms[side].confirm = () => Promise.reject(unconfirmed);
    expect(await term.confirm().catch((error: unknown) => error)).toBe(unconfirmed);
  });

  it.each<[string, (single: Single) => Promise<void>]>([
    [
      'refuses',
      (single) => {
        single.runOut();
        return Promise.reject(new Error('planted'));
      },
    ],
    [
      'resolves',
      (single) => {
        single.runOut();
        return Promise.resolve();
      },
    ],
  ])('runs out while it is confirmed, it is over, although the confirmation %s', async (_, confirm) => {
    const { term, ...terms } = joined();
    terms[side].confirm = () => confirm(terms[side]);
    expect(await term.confirm().catch((error: unknown) => error)).toMatchObject({
      leaseName: 'both',
      reason: 'deadline',
    });
  });
});

it('is confirmed by both, with the options of the call, unless it is over', async () => {
  const { term, ...terms } = joined();
  const asked: unknown[] = [];
  for (const side of SIDES)
    terms[side].confirm = (...given: unknown[]) => {
      asked.push(...given);
      return Promise.resolve();
    };
  const options = { signal: new AbortController().signal };
  await term.confirm(options);
  expect(asked).toEqual([options, options]);
  terms.first.runOut();
  await term.confirm(options).catch(() => undefined);
  expect(asked).toHaveLength(2);
});

it('counts its work, also what it races', async () => {
  const { term, work } = joined();
  const leave = term.enter();
  const raced = term.race(Promise.resolve('done'));
  expect(work.running).toBe(2);
  expect(await raced).toBe('done');
  leave();
  expect(work.running).toBe(0);
});
