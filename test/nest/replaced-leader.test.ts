/** A unit test that replaces LeaderService: a fake term still works, and any other call fails with the remedy. */
import { Controller, Get, Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterEach, describe, expect, it } from 'vitest';
import {
  InjectLeader,
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  OnStartedLeading,
  OnlyWhenLeader,
  currentTerm,
  getLeaderToken,
} from '../../lib/index.js';
import { LeaderElectionTestingModule, runInFakeTerm } from '../../lib/testing.js';
import { applicationOf } from './application.js';

@Controller()
@Injectable()
class Invoices {
  constructor(readonly leader: LeaderService) {}

  @Get()
  @OnlyWhenLeader()
  async send(): Promise<string> {
    return Promise.resolve(`sent in ${String(currentTerm().fencingToken)}`);
  }

  @OnlyWhenLeader()
  count(): bigint {
    return currentTerm().fencingToken;
  }

  @OnStartedLeading()
  started(): void {
    throw new Error('nobody leads here');
  }
}

/** As the auto-mocks of test libraries answer: every field is a function. */
const mocksEverything = (): object =>
  new Proxy(
    {},
    { get: (_, key) => (key === 'then' || typeof key === 'symbol' ? undefined : () => undefined) },
  );

const module = LeaderElectionModule.forRoot({ leaseName: 'invoices', leaseNamespace: 'default' });

const replaced: [string, () => Promise<TestingModule>][] = [
  [
    'by useMocker',
    () =>
      Test.createTestingModule({ providers: [Invoices] })
        .useMocker(() => ({}))
        .compile(),
  ],
  [
    'by an auto-mock',
    () =>
      Test.createTestingModule({ providers: [Invoices] })
        .useMocker(mocksEverything)
        .compile(),
  ],
  [
    'by an object of its prototype',
    () =>
      Test.createTestingModule({ providers: [Invoices] })
        .useMocker((token) => Object.create((token as { prototype: object }).prototype) as object)
        .compile(),
  ],
  [
    'by overrideProvider, beside the module',
    () =>
      Test.createTestingModule({ imports: [module], providers: [Invoices] })
        .overrideProvider(LeaderService)
        .useValue({ isLeader: () => true })
        .compile(),
  ],
];

describe.each(replaced)('LeaderService replaced %s', (_, compile) => {
  let app: TestingModule;
  afterEach(() => app.close());

  it('a fake term works', async () => {
    app = await (await compile()).init();
    const invoices = app.get(Invoices);
    expect(await runInFakeTerm({ fencingToken: 5 }, () => invoices.send())).toBe('sent in 5');
    expect(runInFakeTerm({ fencingToken: 6 }, () => invoices.count())).toBe(6n);
    expect(() => runInFakeTerm({}, ({ end }) => (end(), invoices.count()))).toThrow(
      expect.objectContaining({ code: 'LEADER_NOT_LEADER' }),
    );
  });

  it('outside a fake term the error names the remedies', async () => {
    app = await (await compile()).init();
    const error: unknown = await app
      .get(Invoices)
      .send()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'LEADER_MODULE_MISSING' });
    expect(String(error)).toMatch(
      /send\(\) is under @OnlyWhenLeader\(\).*'default' has been replaced.*overrideLeaderElection.*LeaderElectionTestingModule.*runInFakeTerm/,
    );
    expect(() => app.get(Invoices).count()).toThrow(/count\(\) is under .* has been replaced/);
  });
});

it('a health check fails with the remedy', async () => {
  const app = await Test.createTestingModule({ imports: [module] })
    .overrideProvider(LeaderService)
    .useValue({ isLeader: () => true })
    .compile();
  expect(() => app.get(LeaderHealthIndicator).isHealthy()).toThrow(
    expect.objectContaining({ code: 'LEADER_MODULE_MISSING' }),
  );
  await app.close();
});

it('one of two elections is replaced, and the other goes on', async () => {
  @Injectable()
  class Both {
    constructor(@InjectLeader('mails') readonly mails: LeaderService) {}

    @OnlyWhenLeader({ election: 'mails' })
    send(): string {
      return 'sent';
    }

    @OnlyWhenLeader()
    count(): string {
      return 'counted';
    }
  }
  const app = await Test.createTestingModule({
    imports: [
      LeaderElectionTestingModule.forRoot({ startAs: 'leader' }),
      LeaderElectionTestingModule.forRoot({ name: 'mails' }),
    ],
    providers: [Both],
  })
    .overrideProvider(getLeaderToken('mails'))
    .useValue({ isLeader: () => true })
    .compile();
  await app.init();
  const both = app.get(Both);
  expect(both.count()).toBe('counted');
  expect(() => both.send()).toThrow(/'mails' has been replaced/);
  expect(runInFakeTerm({ election: 'mails' }, () => [both.send(), both.count()])).toEqual([
    'sent',
    'counted',
  ]);
  await app.close();
});

it('a fake term works in an application with an election, whoever leads', async () => {
  const { app, elector } = await applicationOf(Invoices);
  const invoices = app.get(Invoices);
  const inFakeTerm = (): Promise<string> => runInFakeTerm({ fencingToken: 5 }, () => invoices.send());
  expect(await inFakeTerm()).toBe('sent in 5');
  elector.grant({ fencingToken: 9n });
  expect(await inFakeTerm()).toBe('sent in 5');
  expect(await invoices.send()).toBe('sent in 9');
  await app.close();
});
