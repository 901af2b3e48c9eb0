/** How a follower of ours interprets the records of other implementations. */
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

/** The lease duration of the foreign client; our default, too. */
const LEASE_DURATION = 15_000;

/** A foreign client leads, and our candidate follows. */
class Following {
  readonly baz: Candidate;
  readonly #world = new World();
  #seconds = 10;

  /** @param first the record with which the foreign client began to lead. */
  constructor(first: Written) {
    // A candidate of ours had led, and released the lease.
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
/** Each client, how it began to lead, and whether it has renewed since. */
const HELD = CLIENTS.flatMap(({ client, creates, takesOver, ...rest }) =>
  [creates, takesOver].flatMap((first) =>
    first === undefined
      ? []
      : [true, false].map((renewed) => ({
          ...rest,
          name: [
            client,
            first === creates ? 'created the Lease' : 'took it over',
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

describe('after its release our follower leads at once', () => {
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

describe('its release keeps its name for another second', () => {
  it.each(HELD.filter(({ releases }) => releases?.holderIdentity === 'own'))('$name', async (row) => {
    const following = await held(row);
    following.write(row.releases as Written);
    await following.advance(990);
    expect(following.baz.leads).toBe(false);
    await following.advance(20);
    expect(following.baz.leads).toBe(true);
  });
});

describe('after its crash its lease expires when its duration has passed, or ours if it has none', () => {
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
