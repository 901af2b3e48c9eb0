/** The option `coordinated`: its rules, and an API server without coordinated elections. */
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { expect, it } from 'vitest';
import { compareVersions, isSemanticVersion } from '../../lib/nest/options/coordinated-option.js';
import {
  type InvalidOptionsError,
  LeaderElectionModule,
  LeaderService,
  getLeaderToken,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

const start = (
  options: Partial<LeaderElectionModuleOptions>,
): ReturnType<typeof NestFactory.createApplicationContext> =>
  NestFactory.createApplicationContext(
    LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'default', ...options }),
    { logger: false, abortOnError: false },
  );

async function violationsOf(options: object): Promise<readonly string[]> {
  try {
    const app = await start({ enabled: false, ...options });
    await app.close();
    return [];
  } catch (error) {
    return (error as InvalidOptionsError).violations;
  }
}

it.each<[string, object, string]>([
  [
    'no object',
    { coordinated: '1.0.0' },
    "coordinated is '1.0.0': it must be an object with a binaryVersion",
  ],
  ['no version', { coordinated: {} }, 'coordinated.binaryVersion is missing: it must be a semantic version'],
  [
    'a v',
    { coordinated: { binaryVersion: 'v1.30.0' } },
    "is 'v1.30.0': it must be a semantic version of three numbers",
  ],
  ['two numbers', { coordinated: { binaryVersion: '1.30' } }, "such as '1.30.0' or '2.0.0-rc.1'"],
  [
    'a later emulation',
    { coordinated: { binaryVersion: '1.30.0', emulationVersion: '1.30.1' } },
    "emulationVersion is '1.30.1' and binaryVersion '1.30.0': a program emulates its own version or an older one",
  ],
  [
    'a strategy that nobody knows',
    { coordinated: { binaryVersion: '1.30.0', strategy: 'Newest' } },
    "coordinated.strategy is 'Newest': it must be 'OldestEmulationVersion', or 'domain/name'",
  ],
  [
    'a word too much',
    { coordinated: { binaryVersion: '1.0.0', version: 1 } },
    'coordinated.version: there is no such option',
  ],
  [
    'an identity that is no name',
    { coordinated: { binaryVersion: '1.0.0' }, identity: 'a:b' },
    "identity is 'a:b'",
  ],
  ['slots', { coordinated: { binaryVersion: '1.0.0' }, slots: 2 }, 'slots is 2 beside coordinated'],
  [
    'another Lease beside it',
    { coordinated: { binaryVersion: '1.0.0' }, alsoLease: 'y' },
    "alsoLease is 'y' beside coordinated",
  ],
  ['spread', { coordinated: { binaryVersion: '1.0.0' }, spread: true }, 'spread is true beside coordinated'],
  [
    'the status of pods as a proof',
    { coordinated: { binaryVersion: '1.0.0' }, takeover: 'podStatus' },
    "takeover is 'podStatus' beside coordinated: the API server chooses who takes over",
  ],
  [
    'the same container as a proof',
    { coordinated: { binaryVersion: '1.0.0' }, takeover: 'sameContainer' },
    "takeover is 'sameContainer' beside coordinated",
  ],
  [
    'a takeover that nobody knows, once',
    { coordinated: { binaryVersion: '1.0.0' }, takeover: 'dead' },
    "takeover is 'dead': it must be 'expiry', 'sameContainer' or 'podStatus'",
  ],
])('refuses %s', async (_, options, text) => {
  const violations = await violationsOf(options);
  expect(violations).toEqual([expect.stringContaining(text)]);
});

it('accepts versions, an own strategy, and an identity that is a valid name', async () => {
  const coordinated = {
    binaryVersion: '2.0.0-rc.1+build.7',
    emulationVersion: '1.9.0',
    strategy: 'example.com/mine',
  };
  expect(await violationsOf({ coordinated, identity: 'pod_0.A-1' })).toEqual([]);
  expect(await violationsOf({ coordinated, takeover: 'expiry' })).toEqual([]);
});

it('claims the lease as usual where the API server has no candidates, and says so', async () => {
  const server = await LeaseApiServer.start();
  const app = await start({ kubernetes: { server: server.url }, coordinated: { binaryVersion: '1.0.0' } });
  const leader = app.get(LeaderService);
  const told: string[] = [];
  leader.on('error', ({ error }) => told.push(`${error.code}: ${error.message}`));
  await leader.whenLeader();
  expect(told).toEqual([expect.stringContaining('LEADER_NOT_COORDINATED: The option coordinated ')]);
  expect(told[0]).toContain('--feature-gates=CoordinatedLeaderElection=true');
  await app.close();
  await server.stop();
});

it('has another identity in each coordinated election, because a candidate is for one lease', async () => {
  const coordinated = { binaryVersion: '1.0.0' };
  const election = (name: string): DynamicModule =>
    LeaderElectionModule.forRoot({
      name,
      leaseName: name,
      leaseNamespace: 'default',
      kubernetes,
      coordinated,
    });
  const server = await LeaseApiServer.start();
  const kubernetes = { server: server.url };
  const app = await NestFactory.createApplicationContext(
    { module: class Root {}, imports: [election('one'), election('two')] },
    { logger: false },
  );
  const [one, two] = ['one', 'two'].map((name) => app.get<LeaderService>(getLeaderToken(name)).identity);
  expect(one).not.toBe(two);
  await app.close();
  await server.stop();
});

it('compares versions', () => {
  // In the order of semver.org, 2.0.0, section 11.
  const rising = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
  ];
  const all = [...rising, '1.0.0-rc.1', '1.0.0', '1.2.0', '1.10.0', '10.0.0'];
  expect(all.filter((version) => !isSemanticVersion(version))).toEqual([]);
  expect([...all].reverse().sort(compareVersions)).toEqual(all);
  expect(compareVersions('1.0.0+a', '1.0.0+b')).toBe(0);
  expect(['1.0', '01.0.0', '1.0.0-', '1.0.0-01', 'v1.0.0', ''].filter(isSemanticVersion)).toEqual([]);
});
