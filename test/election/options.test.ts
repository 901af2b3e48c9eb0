import { hostname } from 'node:os';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { InvalidOptionsError, defaultIdentity, resolveElectionOptions } from '../../lib/election/index.js';
import { electionOptionsIn } from '../../lib/election/internal.js';
import { fieldsOf, refuseInvalid } from '../../lib/election/options.js';

const environment = { leaseNamespace: 'default', identity: 'me' };

function violations(options: Record<string, unknown>): readonly string[] {
  try {
    resolveElectionOptions({ leaseName: 'x', ...options }, environment);
    return [];
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error.violations;
    throw error;
  }
}

it('has the defaults of Kubernetes', () => {
  expect(resolveElectionOptions({ leaseName: 'x' }, environment)).toEqual({
    leaseName: 'x',
    leaseNamespace: 'default',
    identity: 'me',
    leaseDuration: 15_000,
    renewDeadline: 10_000,
    retryPeriod: 2_000,
    jitterFactor: 0.2,
    renewInterval: 10_000 / 3,
    releaseOnCancel: true,
    drainTimeout: 20_000,
    termLimit: 0,
    spread: false,
    lockDelay: 0,
    reclaimOwnLease: false,
    labels: {},
    onLost: 'campaign',
  });
});

it('uses the default for an option that is undefined', () => {
  expect(resolveElectionOptions({ leaseName: 'x', retryPeriod: undefined }, environment).retryPeriod).toBe(
    2_000,
  );
});

describe('timing', () => {
  it.each([
    ['fast', 3_000, 2_000, 500],
    ['standard', 15_000, 10_000, 2_000],
    ['patient', 137_000, 107_000, 26_000],
  ] as const)("'%s' stands for three times", (timing, leaseDuration, renewDeadline, retryPeriod) => {
    const resolved = resolveElectionOptions({ leaseName: 'x', timing }, environment);
    const renewInterval = renewDeadline / 3;
    expect(resolved).toMatchObject({ leaseDuration, renewDeadline, retryPeriod, renewInterval });
    expect(resolved).not.toHaveProperty('timing');
    expect(resolveElectionOptions(resolved, environment)).toEqual(resolved);
  });

  it.each(['leaseDuration', 'renewDeadline', 'retryPeriod'])('is refused together with %s', (name) => {
    expect(violations({ timing: 'standard', [name]: 9_000 })).toContainEqual(
      `${name} is 9000 and timing 'standard': give either timing, or leaseDuration, renewDeadline and retryPeriod`,
    );
  });

  it.each([
    ['one of its times', { timing: 'patient', leaseDuration: 15_000 }, 1],
    ['two of its times', { timing: 'fast', leaseDuration: 15_000, renewDeadline: 15_000 }, 2],
    ['a wrong name beside times of their own', { timing: 'slow', renewInterval: 30_000 }, 1],
  ])('a conflict hides the rules about several times, which may then not hold: %s', (_, options, count) => {
    expect(violations(options)).toEqual(
      Array.from({ length: count }, () => expect.stringContaining('timing') as string),
    );
  });

  it('may stand beside other times', () => {
    expect(violations({ timing: 'patient', renewInterval: 10_000, lockDelay: 5_000 })).toEqual([]);
  });
});

it('the lease is renewed three times in a renewDeadline', () => {
  expect(resolveElectionOptions({ leaseName: 'x', renewDeadline: 9_000 }, environment).renewInterval).toBe(
    3_000,
  );
});

describe('a broken rule is named with the value seen', () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [{ leaseName: 'Upper' }, /^leaseName is 'Upper': it must be an RFC 1123 subdomain/],
    [{ leaseName: '' }, /^leaseName is ''/],
    [{ leaseName: 'a'.repeat(254) }, /^leaseName/],
    [{ leaseName: 7 }, /^leaseName is 7/],
    [{ leaseName: ['a'] }, /^leaseName is \[ 'a' \]/],
    [{ leaseNamespace: 'a.b' }, /^leaseNamespace is 'a.b': it must be an RFC 1123 label/],
    [{ leaseNamespace: 'a'.repeat(64) }, /^leaseNamespace is 'a+/],
    [{ leaseNamespace: 7 }, /^leaseNamespace is 7/],
    [{ identity: 7 }, /^identity is 7/],
    [{ identity: ' ' }, /^identity is ' ': it must be a non-empty string/],
    [
      { leaseDuration: 10_500, renewDeadline: 5_000 },
      /^leaseDuration is 10500: it must be a whole number of seconds/,
    ],
    [
      { leaseDuration: 10_000 },
      /^leaseDuration is 10000 and renewDeadline 10000: leaseDuration must be larger/,
    ],
    [
      { leaseDuration: 2_147_483_648_000 },
      /^leaseDuration is 2147483648000: it must be at most 2147483647000, because a Lease/,
    ],
    [{ leaseDuration: 0 }, /^leaseDuration is 0: it must be a whole number of seconds, at least 1000/],
    [{ renewDeadline: 2_400 }, /^renewDeadline is 2400 and retryPeriod 2000: renewDeadline must be larger/],
    [{ retryPeriod: 9_000 }, /renewDeadline must be larger than 1.2 × retryPeriod/],
    [{ renewInterval: 8_000 }, /renewInterval \+ retryPeriod must be smaller than renewDeadline/],
    [{ retryPeriod: '2000' }, /^retryPeriod is '2000': it must be a number of milliseconds above 0/],
    [{ retryPeriod: 0 }, /^retryPeriod is 0/],
    [{ jitterFactor: 1.3 }, /^jitterFactor is 1.3: it must be a number from 0 to 1.2/],
    [{ jitterFactor: -1 }, /^jitterFactor is -1/],
    [{ drainTimeout: -1 }, /^drainTimeout is -1: it must be a number of milliseconds, 0 or more/],
    [{ lockDelay: '1 s' }, /^lockDelay is '1 s': it must be a number of milliseconds, 0 or more/],
    [{ termLimit: Number.NaN }, /^termLimit is NaN: it must be a number of milliseconds, 0 or more/],
    [{ releaseOnCancel: 'yes' }, /^releaseOnCancel is 'yes': it must be true or false/],
    [{ timing: 'slow' }, /^timing is 'slow': it must be 'fast', 'standard' or 'patient'/],
    [{ timing: 'toString' }, /^timing is 'toString'/],
    [{ timing: ['fast'] }, /^timing is \[ 'fast' \]: it must be/],
    [{ onLost: 'crash' }, /^onLost is 'crash': it must be 'campaign' or 'exit'/],
    [{ labels: { 'not a name': 'x' } }, /^labels has the key 'not a name'/],
    [{ labels: { '': 'x' } }, /^labels has the key '': it must be a Kubernetes label name$/],
    [{ labels: { 'example.com/': 'x' } }, /^labels has the key 'example.com\/'/],
    [{ labels: { 'example.com/a/b': 'x' } }, /^labels has the key 'example.com\/a\/b'/],
    [{ labels: { '-.com/app': 'x' } }, /^labels has the key '-.com\/app'/],
    [{ labels: { ['k'.repeat(64)]: 'x' } }, /^labels has the key 'k+'/],
    [{ labels: { app: 'not a value!' } }, /^labels\['app'\] is 'not a value!'/],
    [{ labels: { app: 7 } }, /^labels\['app'\] is 7: it must be a Kubernetes label value$/],
    [{ labels: { app: 'v'.repeat(64) } }, /^labels\['app'\] is 'v+'/],
    [{ labels: [] }, /^labels is \[\]/],
    [{ slots: 3 }, /^slots: there is no such option; the options are leaseName/],
    [{ ['x'.repeat(100_000)]: 3 }, /^x+: there is no such option; the options are/],
  ])('%j', (options, message) => {
    expect(violations(options)).toContainEqual(expect.stringMatching(message));
  });

  it('once: nothing is said of the rules about several times, or of what follows from it', () => {
    expect(violations({ renewDeadline: 'x' })).toEqual([expect.stringMatching(/^renewDeadline is 'x'/)]);
  });

  it('without what its own inspect function prints, which may be a secret', () => {
    const secret = { [inspect.custom]: () => 'secret' };
    expect(violations({ onLost: secret })).toEqual([expect.not.stringContaining('secret')]);
  });

  it('in 80 characters', () => {
    const shown = (last: number): string | undefined =>
      violations({ onLost: ['x'.repeat(40), 'y'.repeat(last)] })[0];
    expect(shown(30)).toContain(`onLost is [ '${'x'.repeat(40)}', '${'y'.repeat(30)}' ]: it`);
    expect(shown(31)).toContain(`onLost is [ '${'x'.repeat(40)}', '${'y'.repeat(31)}' …: it`);
  });

  it('all at once', () => {
    expect(violations({ leaseName: '-', identity: '', onLost: 1, drainTimeout: 'x' })).toHaveLength(4);
  });

  it.each([
    { labels: { 'example.com/app': 'billing', tier: '' } },
    { labels: { ['k'.repeat(63)]: 'v'.repeat(63) } },
    { leaseName: 'a.b-c' },
    { leaseName: 'a'.repeat(253) },
    { leaseNamespace: 'a'.repeat(63) },
    { leaseDuration: 1_000, renewDeadline: 900, retryPeriod: 100 },
    { leaseDuration: 2_147_483_647_000 },
    { termLimit: 0 },
  ])('but %j breaks none', (options) => {
    expect(violations(options)).toEqual([]);
  });
});

it.each([
  [null, 'null'],
  ['secret', 'string'],
  [['secret'], 'an array'],
])('options that are no object are refused by their kind, without their content (%#)', (options, kind) => {
  expect(() => resolveElectionOptions(options as never, environment)).toThrow(
    `The election's options break a rule:\n  - the options are ${kind}: they must be an object with a leaseName`,
  );
});

describe('an unknown option is named with the known one that is most like it', () => {
  it.each([
    ['one letter is missing', 'leasDuration', 'leaseDuration'],
    ['one letter is too many', 'termLimmit', 'termLimit'],
    ['one letter is another', 'lockDeley', 'lockDelay'],
    ['letters are missing at its start', 'inewDeadline', 'renewDeadline'],
    ['the case is another', 'LEASENAME', 'leaseName'],
    ['a third of the letters are missing', 'spre', 'spread'],
    ['a third of the letters are too many', 'spreaded', 'spread'],
    ['two are like it, and the later one more so', 'leaseNamespa', 'leaseNamespace'],
    ['more than a third is missing: none', 'spr', undefined],
    ['more than a third is too many: none', 'spreading', undefined],
    ['more than a third is another: none', 'inPast', undefined],
  ])('%s: %s', (_, name, nearest) => {
    const told = nearest === undefined ? name : `${name} (did you mean ${nearest}?)`;
    expect(violations({ [name]: 3 })).toContainEqual(
      expect.stringContaining(`${told}: there is no such option; the options are leaseName, `),
    );
  });
});

it("an election's options are found among others, and are not checked", () => {
  expect(electionOptionsIn({ leaseName: 7, health: true, spread: undefined })).toEqual({
    leaseName: 7,
    spread: undefined,
  });
});

it('the identity of a process shows its host, is unique and fits', () => {
  const [one, other] = [defaultIdentity(), defaultIdentity()];
  expect(one.startsWith(`${hostname()}_`)).toBe(true);
  expect(one).not.toBe(other);
  expect(violations({ identity: one })).toEqual([]);
});

describe("an object's fields", () => {
  const known = ['own', 'inherited', 'missing'];

  it('are its own, and those that it inherits under a known name', () => {
    const value = Object.assign(Object.create({ inherited: 1, own: 2, unknown: 3 }) as object, {
      own: 4,
      other: 5,
    });
    expect(fieldsOf(value, known)).toStrictEqual({ own: 4, other: 5, inherited: 1 });
  });
});

it('an option with the name of a method of objects is unknown', () => {
  const refused = (): void => {
    refuseInvalid('The options of x', { toString: 1 }, { a: [() => true, 'it must be a'] });
  };
  expect(refused).toThrow('toString: there is no such option; the options are a');
});
