/** A proof of death that throws proves nothing, and does not end the election (G7). */
import { expect, it } from 'vitest';
import { LeaseElector, resolveElectionOptions, type ProofOfDeath } from '../../lib/election/index.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';

const fails = (): never => {
  throw new Error('planted');
};

it.each<[string, ProofOfDeath]>([
  [
    'what it writes about itself',
    {
      follow: () => () => undefined,
      get self() {
        return fails();
      },
    },
  ],
  ['to follow', { self: 'me', follow: fails }],
  ['to follow no more', { self: 'me', follow: () => fails }],
])('%s', async (_, proofOfDeath) => {
  const time = new SimulatedTime();
  const lease = new SimulatedLease(time);
  const start = (identity: string, proof?: ProofOfDeath) => {
    const stop = new AbortController();
    const codes: string[] = [];
    const elector = new LeaseElector({
      lock: lease.lock(identity),
      clock: time.clock(),
      proofOfDeath: proof,
      options: resolveElectionOptions({ leaseName: 'x' }, { leaseNamespace: 'default', identity }),
    });
    void elector.run(stop.signal, (event) => {
      if (event.type === 'error') codes.push(event.error.code);
    });
    return { elector, stop, codes };
  };
  const first = start('baz', { self: 'baz', follow: () => () => undefined });
  await time.advance(100);
  const second = start('bing', proofOfDeath);
  await time.advance(10_000);
  first.stop.abort();
  await time.advance(100);
  expect(second.elector.state.kind).toBe('leading');
  second.stop.abort();
  await time.advance(100);
  expect(second.elector.state.kind).toBe('stopped');
  expect(second.codes).toEqual(['LEADER_LISTENER_FAILED']);
});
