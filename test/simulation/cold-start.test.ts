/** The age of a lease by the clocks of the API servers (`serverClockMargin`): what it saves, and that it breaks no guarantee. */
import { describe, expect, it } from 'vitest';
import { LeaseElector, resolveElectionOptions } from '../../lib/election/index.js';
import { SimulatedLease, type ServerClocks } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';
import { simulate } from '../../lib/testing/simulation/index.js';

const LEASE_MS = 15_000;
const MARGIN_MS = 2_000;

/** After how many milliseconds a process leads that starts this long after the last renewal of a process that died. */
async function leadsAfter(goneForMs: number, serverClocks: ServerClocks | undefined): Promise<number> {
  const time = new SimulatedTime();
  const lease = new SimulatedLease(time, { serverClocks });
  const elector = (identity: string): LeaseElector =>
    new LeaseElector({
      lock: lease.lock(identity),
      clock: time.clock(),
      options: resolveElectionOptions({ leaseName: 'x' }, { leaseNamespace: 'default', identity }),
    });
  const first = elector('baz');
  const stop = new AbortController();
  void first.run(stop.signal, () => undefined);
  await time.advance(100);
  // The process dies: nothing of it is sent any more.
  const record = lease.stored?.record;
  stop.abort();
  await time.advance(100);
  if (record !== undefined) lease.edit(record);
  await time.advance(goneForMs);
  const startedAt = time.now;
  let leadsAt: number | undefined;
  void elector('bing').run(new AbortController().signal, (event) => {
    if (event.type === 'startedLeading') leadsAt = time.now;
  });
  await time.advance(2 * LEASE_MS);
  return Number(leadsAt) - startedAt;
}

describe('after an hour without any process', () => {
  const clocks = { aheadMs: [300], marginMs: MARGIN_MS };

  it('the first one leads at once', async () => {
    expect(await leadsAfter(3_600_000, clocks)).toBeLessThan(10);
  });

  it('it waits for a whole lease if reads do not say how old the lease is', async () => {
    expect(await leadsAfter(3_600_000, undefined)).toBeGreaterThanOrEqual(LEASE_MS);
  });

  it('it waits for the rest of the lease and the margin, if the lease is young', async () => {
    const waited = await leadsAfter(8_000, clocks);
    expect(waited).toBeGreaterThanOrEqual(LEASE_MS - 8_000 + MARGIN_MS);
    // Whole seconds cost up to two more.
    expect(waited).toBeLessThan(LEASE_MS - 8_000 + MARGIN_MS + 2_010);
  });
});

describe('fleets whose API servers have different clocks', () => {
  // The process dies and starts anew: only a process that sees the lease for the first time judges its age.
  const faults = [
    'killed',
    'restartedNewIdentity',
    'restartedSameIdentity',
    'partition',
    'frozen',
    'writesHang',
  ] as const;

  it('keep every guarantee while the clocks differ by no more than the margin', async () => {
    const { failed } = await simulate({
      seeds: 150,
      from: 900_001,
      faults,
      serverClocks: { aheadMs: [0, MARGIN_MS / 2, MARGIN_MS], marginMs: MARGIN_MS },
    });
    expect(failed).toEqual([]);
  });

  it('break G1 when the clocks differ by much more', async () => {
    const { failed } = await simulate({
      seeds: 60,
      from: 900_001,
      faults,
      serverClocks: { aheadMs: [0, MARGIN_MS + LEASE_MS], marginMs: MARGIN_MS },
    });
    const guarantees = new Set(
      failed.flatMap(({ violations }) => violations.map(({ guarantee }) => guarantee)),
    );
    expect([...guarantees]).toContain('G1');
  });
});
