/** `lockDelay` counts from the first proof that a holder is dead, however often that is reported. */
import { expect, it } from 'vitest';
import { LeaseElector, resolveElectionOptions, type ProofOfDeath } from '../../lib/election/index.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

it('a proof that is reported again does not prolong the wait', async () => {
  const time = new SimulatedTime();
  const lease = new SimulatedLease(time);
  const start = (identity: string, proofOfDeath: ProofOfDeath) => {
    const elector = new LeaseElector({
      lock: lease.lock(identity),
      clock: time.clock(),
      proofOfDeath,
      options: resolveElectionOptions(
        { leaseName: 'x', lockDelay: 3_000 },
        { leaseNamespace: 'default', identity },
      ),
    });
    const stop = new AbortController();
    void elector.run(stop.signal, () => undefined);
    return elector;
  };
  let report = (): void => undefined;
  start('baz', { self: 'baz', follow: () => () => undefined });
  await time.advance(100);
  const bing = start('bing', {
    self: 'bing',
    follow: (_, gone) => {
      report = gone;
      return () => undefined;
    },
  });
  await time.advance(100);
  report();
  await time.advance(2_000);
  report();
  await time.advance(900);
  expect(bing.state.kind).toBe('following');
  await time.advance(200);
  expect(bing.state.kind).toBe('leading');
});
