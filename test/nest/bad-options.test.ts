/** Invalid options of any kind: the start fails with one error that says what was seen, and never shows a secret. */
import { rootCertificates } from 'node:tls';
import { inspect } from 'node:util';
import { NestFactory } from '@nestjs/core';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { InvalidOptionsError, LeaderElectionModule } from '../../lib/index.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';

const circular: Record<string, unknown> = {};
circular['self'] = circular;
const throwing = new Proxy({}, new Proxy({}, { get: () => () => raise() }));
const strange: readonly [string, unknown][] = [
  ['a BigInt', 7n],
  ['a circular object', circular],
  ['a symbol', Symbol('x')],
  ['an object without prototype', Object.create(null)],
  ['a Proxy that throws', throwing],
  ['a Map', new Map()],
  ['a Date', new Date(0)],
  ['an array', [1]],
  ['NaN', Number.NaN],
  ['Infinity', Infinity],
];

const names = [
  'enabled',
  'readinessCheck',
  'readinessInterval',
  'slots',
  'alsoLease',
  'coordinated',
  'metrics',
  'traces',
  'leaseName',
  'leaseNamespace',
  'identity',
  'leaseDuration',
  'renewDeadline',
  'retryPeriod',
  'timing',
  'jitterFactor',
  'renewInterval',
  'releaseOnCancel',
  'drainTimeout',
  'termLimit',
  'lockDelay',
  'reclaimOwnLease',
  'spread',
  'onLost',
  'events',
  'ownerReference',
  'preflight',
  'releaseAtExit',
  'serverClockMargin',
  'takeover',
  'trace',
];

function raise(): never {
  throw new TypeError('raw');
}

async function refusal(make: () => ReturnType<typeof LeaderElectionModule.forRoot>): Promise<string> {
  const error: unknown = await (async () => {
    const app = await NestFactory.createApplicationContext(make(), { logger: false, abortOnError: false });
    await app.close();
  })().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(InvalidOptionsError);
  return (error as InvalidOptionsError).message;
}

function refused(options: unknown): Promise<string> {
  const given = { leaseName: 'billing', leaseNamespace: 'default', ...(options as object) };
  return refusal(() => LeaderElectionModule.forRoot(given));
}

describe.each(strange)('%s is refused', (kind, value) => {
  const isEmpty = kind === 'an object without prototype';

  it('as the value of any option', async () => {
    for (const name of names) {
      const message = await refused({ [name]: value });
      expect(message).toContain(name);
      for (const line of message.split('\n')) expect(line.length).toBeLessThan(300);
      expect(message).not.toMatch(/\bnull\b|undefined/);
    }
  });

  it('as labels', async () => {
    // That one is an object of no labels.
    if (isEmpty) return;
    for (const name of ['labels', 'leaderPodLabels'])
      expect(await refused({ [name]: value })).toContain(name);
  });

  it('as the options themselves', async () => {
    const given = value as never;
    const ways = [
      () => LeaderElectionModule.forRoot(given),
      () => LeaderElectionModule.forRootAsync(given),
      // Nest itself looks into what a factory gives.
      ...(kind === 'a Proxy that throws'
        ? []
        : [() => LeaderElectionModule.forRootAsync({ useFactory: () => given })]),
    ];
    const isObject = isEmpty || kind === 'a circular object';
    for (const way of isObject ? ways.slice(1, 2) : ways)
      expect(await refusal(way)).toMatch(isObject ? 'must be exactly one' : /they must be an object/);
  });

  it('as the value of a misspelt option', async () => {
    const given = { leaseName: 'x', enabled: false };
    for (const name of ['name', 'isGlobal'])
      expect(await refusal(() => LeaderElectionModule.forRoot({ ...given, [name]: value }))).toContain(name);
    for (const name of ['useFactory', 'useClass', 'useExisting'])
      expect(await refusal(() => LeaderElectionModule.forRootAsync({ [name]: value }))).toContain(name);
  });
});

it.each([[null], [undefined], ['text'], [7]])('options that are %o', async (given) => {
  expect(await refusal(() => LeaderElectionModule.forRoot(given as never))).toMatch(/must be an object/);
  expect(await refusal(() => LeaderElectionModule.forRootAsync(given as never))).toMatch(/must be an object/);
  if (given !== undefined)
    expect(() => LeaderElectionTestingModule.forRoot(given as never)).toThrow(InvalidOptionsError);
  const made = LeaderElectionModule.forRootAsync({ useFactory: () => given as never });
  expect(await refusal(() => made)).toMatch(/of the election 'default'.*\n.*they must be an object/);
});

it('a class that is not an options factory', async () => {
  class Empty {}
  const useClass = Empty as never;
  expect(await refusal(() => LeaderElectionModule.forRootAsync({ useClass }))).toContain(
    'createLeaderElectionOptions of a Empty is missing: it must be a function',
  );
});

describe('slots', () => {
  it.each([2 ** 32, 257])('%d: are bounded', async (slots) => {
    expect(await refused({ slots })).toMatch(/slots is \d+: it must be at most 256, because every replica/);
  });

  it("leave room for the slot's number in the name", async () => {
    const leaseName = 'a'.repeat(251);
    expect(await refused({ leaseName, slots: 11 })).toMatch(
      /leaseName is 'a{50}'\.\.\. 201 more characters and slots 11: .*must still be at most 253 characters/,
    );
    expect(await refused({ leaseName, slots: 10, spread: 7 })).not.toContain('must still be');
  });
});

it('an invalid namespace is not reported as an error of alsoLease', async () => {
  expect(await refused({ leaseNamespace: 'A', alsoLease: 'other' })).not.toContain('alsoLease');
});

it('a leaseDuration that does not fit into a Lease', async () => {
  expect(await refused({ leaseDuration: 2 ** 31 * 1_000 })).toMatch(
    /leaseDuration is .*: it must be at most/,
  );
});

describe('kubernetes', () => {
  const server = 'https://10.0.0.1:6443';
  const [authority = ''] = rootCertificates;

  it.each<[string, unknown, RegExp]>([
    ['a token', 'hunter2', /kubernetes is string: it must be an object/],
    ['an array', ['hunter2'], /kubernetes is an array: it must be/],
    ['a Map', new Map([['hunter2', 1]]), /kubernetes is a Map: it must be/],
    ['a Date', new Date(), /kubernetes is a Date: it must be/],
    ['null', null, /kubernetes is null: it must be/],
    ['a Proxy', throwing, /kubernetes is an object that cannot be inspected: it must be/],
    [
      'another scheme',
      { server: 'ftp://admin:hunter2@h' },
      /kubernetes.server is invalid .*: it must be an http or/,
    ],
    [
      'a user',
      { server: 'https://admin:hunter2@h' },
      /kubernetes.server is invalid .* without user, password and query/,
    ],
    ['a query', { server: 'https://h?token=hunter2' }, /kubernetes.server is invalid .* and query/],
    [
      'a certificate that is cut off',
      { server: 'https://h', certificateAuthority: `${authority}\n-----BEGIN CERTIFICATE-----\nhunter2` },
      /kubernetes.certificateAuthority is invalid/,
    ],
    ['no URL', { server: 'hunter2' }, /kubernetes.server is invalid/],
    ['a server that is missing', { server: undefined }, /kubernetes.server is missing: it must be/],
    [
      'a server that is none',
      { server: new URL('https://hunter2') },
      /kubernetes.server is a URL: it must be/,
    ],
    ['an empty token', { server, token: '' }, /kubernetes.token is empty: it must be a non-empty string/],
    ['a token that is none', { server, token: 7n }, /kubernetes.token is bigint/],
    ['two lines of token', { server, token: 'hunter2\nhunter2' }, /kubernetes.token is invalid/],
    ['a token and a file', { server, token: 'hunter2', tokenFile: 'hunter2' }, /give only one of them/],
    [
      'a tokenFile that is none',
      { server, tokenFile: 7 },
      /kubernetes.tokenFile is number: it must be the path/,
    ],
    ['a symbol', { server, token: Symbol('hunter2') }, /kubernetes.token is symbol/],
    [
      'a CA that is no PEM',
      { server, certificateAuthority: '/hunter2/ca.crt' },
      /certificateAuthority is invalid/,
    ],
    [
      'a PEM that is no certificate',
      {
        server,
        certificateAuthority: '-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----',
      },
      /certificateAuthority is invalid \(its value is not shown\): it must be one or more certificates in PEM/,
    ],
    [
      'a CA of bytes',
      { server, certificateAuthority: Buffer.from('hunter2') },
      /certificateAuthority is a Buffer/,
    ],
    [
      'a file that is none',
      { kubeconfigFile: 7 },
      /kubernetes.kubeconfigFile is number: it must be the path/,
    ],
    ['an empty context', { context: '' }, /kubernetes.context is empty: it must be the name/],
  ])('%s is refused, and its value is not shown', async (_, kubernetes, message) => {
    for (const enabled of [true, false]) {
      const told = await refused({ kubernetes, enabled });
      expect(told).toMatch(message);
      expect(told).not.toContain('hunter2');
    }
  });

  it('certificateAuthority may contain several certificates and text between them', async () => {
    const certificateAuthority = `# ours\n${authority}\n# theirs\n${authority}`;
    expect(await refused({ kubernetes: { server, certificateAuthority }, slots: 0 })).not.toContain(
      'kubernetes',
    );
  });
});

it('metrics: an object without prototype, and a registry, whose contents are not shown', async () => {
  expect(await refused({ metrics: Object.create(null) as unknown })).toContain(
    'metrics is an object: it must be',
  );
  expect(await refused({ metrics: new Registry() })).toContain('metrics is a Registry: it must be');
});

it('a printed error shows each violation once', () => {
  const violations = ["leaseName is 'A': it must be an RFC 1123 subdomain", 'slots is 0: it must be 1'];
  const error = new InvalidOptionsError(violations);
  expect(error.violations).toEqual(violations);
  for (const violation of violations) expect(inspect(error).split(violation)).toHaveLength(2);
});
