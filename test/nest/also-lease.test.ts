/** An application whose election moves to another Lease. */
import { expect, it } from 'vitest';
import { LeaderService, type LeaderElectionModuleOptions } from '../../lib/index.js';
import { Replicas } from './replicas.js';

const replicas = new Replicas();

async function startReplica(leases: Partial<LeaderElectionModuleOptions>): Promise<LeaderService> {
  const app = await replicas.start([{ leaseName: 'new-name', ...leases }]);
  return app.get(LeaderService);
}

const holders = (): Record<string, string | undefined> =>
  Object.fromEntries(
    replicas.server.leases.map(({ metadata, spec }) => [metadata.name, spec.holderIdentity]),
  );

it('moves from the old Lease over both to the new one, with rising tokens', async () => {
  const steps = [
    { leaseName: 'old-name' },
    { leaseName: 'new-name', alsoLease: 'old-name' },
    { leaseName: 'new-name' },
  ];
  const tokens: bigint[] = [];
  let last: LeaderService | undefined;
  for (const step of steps) {
    const next = await startReplica(step);
    const leading = next.whenLeader();
    if (last !== undefined) {
      expect(last.isLeader()).toBe(true);
      await replicas.closeFirst();
    }
    tokens.push((await leading).fencingToken);
    last = next;
    const held = Object.keys(step).length === 2 ? ['old-name', 'new-name'] : [step.leaseName];
    for (const name of held) expect(holders()[name]).toBe(next.identity);
  }
  expect(tokens).toEqual([...tokens].sort((a, b) => (a < b ? -1 : 1)));
});

it.each([
  [{ alsoLease: 'new-name' }, /alsoLease is 'new-name', as leaseName is: it must be another Lease/],
  [{ alsoLease: 'Not a name' }, /alsoLease is 'Not a name': it must be an RFC 1123 subdomain/],
  [
    { alsoLease: 'old', slots: 2 },
    /alsoLease is 'old' and slots 2: only an election with one leader can move/,
  ],
  [{ alsoLease: 'old', spread: true }, /alsoLease is 'old' and spread true: an election cannot be spread/],
])('refuses %j', async (options, message) => {
  await expect(startReplica(options)).rejects.toThrow(message);
});
