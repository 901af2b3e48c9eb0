/** What other implementations write into the Lease, as a follower of ours takes it. */
import { describe, expect, it } from 'vitest';
import type { LeaseSnapshot, MicroTime } from '../../lib/election/index.js';
import {
  FOREIGN_RECORDS,
  recordAfter,
  type ForeignRecords,
  type Written,
} from '../interop/foreign-records.js';
import { World, type Candidate } from './candidate.js';
import { recordOf } from './records.js';

/** Theirs, and of ours by default. */
const LEASE_DURATION = 15_000;

/** One of theirs leads, one of ours follows. */
class Following {
  readonly baz: Candidate;
  readonly #world = new World();
  #seconds = 10;

  /** `first`: how theirs came to lead. */
  constructor(first: Written) {
    // Ours had led, and released.
    const before = '2001-02-03T04:05:06.000007Z' as MicroTime;
    this.#world.lease.edit(
      recordOf('', { leaseDurationSeconds: 1, acquireTime: before, renewTime: before, leaseTransitions: 4 }),
    );
    this.write(first);
    this.baz = this.#world.start('baz');
  }

  write(written: Written): void {
    this.#seconds += 1;
    const now = `2001-02-03T04:05:${String(this.#seconds)}.123000Z` as MicroTime;
    const { record } = this.#world.lease.stored as LeaseSnapshot;
    const leaseDurationSeconds = LEASE_DURATION / 1000;
    this.#world.lease.edit(recordAfter(written, record, { own: 'theirs', leaseDurationSeconds, now }));
  }

  async advance(ms: number): Promise<void> {
    await this.#world.time.advance(ms);
  }

  get stored(): LeaseSnapshot['record'] {
    return (this.#world.lease.stored as LeaseSnapshot).record;
  }
}

const CLIENTS: readonly ForeignRecords[] = Object.values(FOREIGN_RECORDS);
/** Each client; how it came to lead; whether it has renewed since. */
const HELD = CLIENTS.flatMap(({ client, creates, takesOver, ...rest }) =>
  [creates, takesOver].flatMap((first) =>
    first === undefined
      ? []
      : [true, false].map((renewed) => ({
          ...rest,
          name: [
            client,
            first === creates ? 'made the Lease' : 'took it over',
            renewed ? 'and renewed' : '',
          ].join(' '),
          first,
          renewed,
        })),
  ),
);

async function held({ first, renewed, renews }: (typeof HELD)[number]): Promise<Following> {
  const following = new Following(first);
  await following.advance(2_000);
  if (renewed) following.write(renews);
  await following.advance(2_000);
  expect(following.baz.story).toEqual(['leader theirs']);
  return following;
}

describe('its release is taken at once', () => {
  it.each(HELD.filter(({ releases }) => releases?.holderIdentity !== 'own' && releases !== undefined))(
    '$name',
    async (row) => {
      const following = await held(row);
      following.write(row.releases as Written);
      await following.advance(10);
      expect(following.baz.leads).toBe(true);
    },
  );
});

describe('its release names itself for another second', () => {
  it.each(HELD.filter(({ releases }) => releases?.holderIdentity === 'own'))('$name', async (row) => {
    const following = await held(row);
    following.write(row.releases as Written);
    await following.advance(990);
    expect(following.baz.leads).toBe(false);
    await following.advance(20);
    expect(following.baz.leads).toBe(true);
  });
});

describe('it is gone without a word: its lease runs out, as long as it asked for, or as ours', () => {
  it.each(HELD)('$name', async (row) => {
    const following = await held(row);
    const seen = row.renewed ? 2_000 : 4_000;
    await following.advance(LEASE_DURATION - seen - 10);
    expect(following.baz.leads).toBe(false);
    await following.advance(20);
    expect(following.baz.leads).toBe(true);
    expect(following.stored).toMatchObject({ holderIdentity: 'baz', leaseDurationSeconds: 15 });
  });
});
