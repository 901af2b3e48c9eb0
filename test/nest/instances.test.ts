/** Gates and hooks of instances from factories, values and lazily loaded modules. */
import {
  Controller,
  Get,
  Injectable,
  Module,
  Scope,
  type DynamicModule,
  type OnApplicationBootstrap,
  type Provider,
} from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ScriptedElector } from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  OnNewLeader,
  OnStartedLeading,
  OnStoppedLeading,
  OnlyWhenLeader,
  currentTerm,
  getElectorToken,
} from '../../lib/index.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';
import { applicationWith, type Tested } from './application.js';

let told: unknown[] = [];
let tested: Tested | undefined;
beforeEach(() => {
  told = [];
});
afterEach(async () => {
  await tested?.app.close();
  tested = undefined;
  vi.restoreAllMocks();
});

class Relay {
  @OnStartedLeading()
  started(): void {
    told.push(['started', currentTerm().fencingToken]);
  }

  @OnNewLeader()
  led(identity: string): void {
    told.push(['led', identity]);
  }

  @OnStoppedLeading()
  stopped(reason: string): void {
    told.push(['stopped', reason]);
  }

  @OnlyWhenLeader()
  async work(): Promise<bigint> {
    await Promise.resolve();
    return currentTerm().fencingToken;
  }

  @OnlyWhenLeader({ otherwise: 'skip' })
  skips(): string {
    return 'done';
  }
}
class Inheriting extends Relay {}
class OfBilling {
  @OnlyWhenLeader({ election: 'billing' })
  bill(): string {
    return 'billed';
  }
}

const ways: [string, Provider][] = [
  ['an arrow function', { provide: 'RELAY', useFactory: () => new Relay() }],
  ['an async one', { provide: 'RELAY', useFactory: async () => Promise.resolve(new Relay()) }],
  [
    'a function with a prototype of its own',
    {
      provide: 'RELAY',
      useFactory: function () {
        return new Relay();
      },
    },
  ],
  ['a value', { provide: 'RELAY', useValue: new Relay() }],
  ['a subclass', { provide: 'RELAY', useFactory: () => new Inheriting() }],
  ['the token of its class', { provide: Relay, useFactory: () => new Relay() }],
];

describe.each(ways)('an instance from %s', (_way, provider) => {
  it('has its hooks called once, and its gated methods run in the leader', async () => {
    const token = (provider as { provide: string }).provide;
    tested = await applicationWith({ providers: [provider, { provide: 'AGAIN', useExisting: token }] });
    const relay = tested.app.get<Relay>(token);
    expect(relay.skips()).toBeUndefined();
    await expect(relay.work()).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER' });
    tested.elector.grant({ fencingToken: 7n });
    expect(await relay.work()).toBe(7n);
    tested.elector.revoke('deadline');
    expect(told).toEqual([
      ['started', 7n],
      ['led', 'me'],
      ['stopped', 'deadline'],
      ['led', ''],
    ]);
  });
});

it('a value in several applications belongs to the latest', async () => {
  const relay = new Relay();
  const providers = [{ provide: 'RELAY', useValue: relay }];
  const first = await applicationWith({ providers });
  first.elector.grant();
  await first.app.close();
  tested = await applicationWith({ providers });
  tested.elector.grant({ fencingToken: 2n });
  expect(await relay.work()).toBe(2n);
});

it('an instance that a test provides for a class is gated as the class is', async () => {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot({ startAs: 'leader' })],
    providers: [Relay],
  })
    .overrideProvider(Relay)
    .useValue(new Inheriting())
    .compile();
  await module.init();
  expect(await module.get(Relay).work()).toBe(1n);
  await module.close();
});

it('each gate of an instance uses its own election', async () => {
  tested = await applicationWith({
    imports: [LeaderElectionTestingModule.forRoot({ name: 'billing' })],
    providers: [{ provide: 'BILLING', useFactory: () => new OfBilling() }],
  });
  const billing = tested.app.get<OfBilling>('BILLING');
  tested.elector.grant();
  expect(() => billing.bill()).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
  tested.app.get<ScriptedElector>(getElectorToken('billing')).grant();
  expect(billing.bill()).toBe('billed');
});

it('values of other kinds are ignored; a call on a frozen one names what is missing', async () => {
  const frozen = Object.freeze(new Relay());
  const values = [null, 7, 'text', Object.create(null), () => undefined, new Map(), frozen];
  tested = await applicationWith({
    providers: values.map((useValue, index) => ({ provide: `VALUE_${String(index)}`, useValue })),
  });
  tested.elector.grant();
  await expect(frozen.work()).rejects.toMatchObject({ code: 'LEADER_MODULE_MISSING' });
});

describe('a module that is loaded lazily', () => {
  const load = async (module: unknown): Promise<unknown> =>
    tested?.app.get(LazyModuleLoader).load(() => module as DynamicModule, { logger: false });

  it('may use an election: its hooks are called from then on, its gates are open in the leader', async () => {
    @Injectable()
    class Lazy extends Relay {}
    @Module({ providers: [Lazy, { provide: 'MADE', useFactory: () => new Relay() }] })
    class LazyModule {}
    tested = await applicationWith({});
    tested.elector.grant();
    const lazy = (await load(LazyModule)) as { get: (token: unknown) => Relay };
    expect(await lazy.get(Lazy).work()).toBe(1n);
    tested.elector.revoke('deadline');
    tested.elector.grant();
    const both = ([event, what]: [string, unknown]) => [
      [event, what],
      [event, what],
    ];
    expect(told).toEqual([
      ...both(['stopped', 'deadline']),
      ...both(['led', '']),
      ...both(['started', 2n]),
      ...both(['led', 'me']),
    ]);
    expect(await lazy.get('MADE').work()).toBe(2n);
  });

  it.each([
    ['a factory', { provide: 'MADE', useFactory: () => new Relay() }],
    ['an async factory', { provide: 'MADE', useFactory: async () => Promise.resolve(new Relay()) }],
    ['a value', { provide: 'MADE', useValue: new Relay() }],
  ])('has its election at once, before any event: from %s', async (_way, provider) => {
    @Module({ providers: [provider] })
    class LazyModule {}
    tested = await applicationWith({});
    tested.elector.grant();
    const lazy = (await load(LazyModule)) as { get: (token: unknown) => Relay };
    expect(await lazy.get('MADE').work()).toBe(1n);
    tested.elector.revoke('deadline');
    expect(told).toEqual([
      ['stopped', 'deadline'],
      ['led', ''],
    ]);
  });

  it('may be loaded in a start hook, and its instances used there', async () => {
    @Module({ providers: [{ provide: 'MADE', useFactory: () => new Relay() }] })
    class LazyModule {}
    @Injectable()
    class Loading implements OnApplicationBootstrap {
      refused: unknown;
      constructor(private readonly loader: LazyModuleLoader) {}

      async onApplicationBootstrap(): Promise<void> {
        const lazy = await this.loader.load(() => LazyModule, { logger: false });
        this.refused = await lazy
          .get<Relay>('MADE')
          .work()
          .catch((error: unknown) => error);
      }
    }
    tested = await applicationWith({ providers: [Loading] });
    expect(tested.app.get(Loading).refused).toMatchObject({ code: 'LEADER_NOT_LEADER' });
    tested.elector.grant();
    expect(told).toEqual([
      ['started', 1n],
      ['led', 'me'],
    ]);
  });

  it.each([
    ['the first of its application', []],
    ['another beside one that has begun', [LeaderElectionTestingModule.forRoot()]],
  ])('must not contain an election: %s', async (_which, imports) => {
    const module = await Test.createTestingModule({ imports }).compile();
    await module.init();
    const loader = module.get(LazyModuleLoader);
    const options = { name: 'late', leaseName: 'late', leaseNamespace: 'y' };
    for (const election of [
      LeaderElectionModule.forRoot(options),
      LeaderElectionModule.forRoot({ ...options, enabled: false, isGlobal: false }),
      LeaderElectionTestingModule.forRoot({ name: 'late' }),
    ]) {
      @Module({ imports: [election] })
      class LateModule {}
      await expect(loader.load(() => LateModule, { logger: false })).rejects.toMatchObject({
        code: 'LEADER_MODULE_LAZY',
        message: expect.stringMatching(/The module of the election 'late' was loaded lazily.*root module/s),
      });
    }
    await module.close();
  });
});

describe('an election whose options depend on a request', () => {
  @Injectable({ scope: Scope.REQUEST })
  class Tenant {
    readonly leaseName = 'of-tenant';

    createLeaderElectionOptions() {
      return { leaseName: this.leaseName, enabled: false };
    }
  }
  @Injectable()
  class Config {
    constructor(readonly tenant: Tenant) {}
  }
  @Injectable({ scope: Scope.REQUEST, durable: true })
  class Durable {}
  @Module({ providers: [Tenant, Config, Durable], exports: [Tenant, Config, Durable] })
  class ConfigModule {}
  @Controller()
  class Board {
    @Get()
    @OnlyWhenLeader()
    show(): string {
      return 'shown';
    }
  }
  const imports = [ConfigModule];
  const useFactory = () => ({ leaseName: 'x', enabled: false });

  it.each([
    ['directly', { imports, inject: [Tenant], useFactory }, /depend on Tenant, which is request-scoped/],
    [
      'through another',
      { imports, inject: [Config], useFactory },
      /on Config, which depends on Tenant, which is/,
    ],
    ['the request itself', { inject: ['REQUEST'], useFactory }, /on REQUEST, which is request-scoped/],
    ['a durable one', { imports, inject: [Durable], useFactory }, /on Durable, which is request-scoped/],
    ['a class of options', { useClass: Tenant }, /on Tenant, which is request-scoped/],
    ['an existing class', { imports, useExisting: Tenant }, /on Tenant, which is request-scoped/],
  ])('is refused at start, and the provider is named: %s', async (_how, options, named) => {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRootAsync(options)],
      controllers: [Board],
    }).compile();
    await expect(module.init()).rejects.toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringMatching(named),
    });
  });

  it('is accepted if they depend on a transient provider', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Transient {
      readonly leaseName = 'x';
    }
    @Module({ providers: [Transient], exports: [Transient] })
    class TransientModule {}
    const module = await Test.createTestingModule({
      imports: [
        LeaderElectionModule.forRootAsync({
          imports: [TransientModule],
          inject: [Transient],
          useFactory: ({ leaseName }: Transient) => ({ leaseName, enabled: false }),
        }),
      ],
      providers: [Relay],
    }).compile();
    module.useLogger(false);
    await module.init();
    expect(await module.get(Relay).work()).toBe(0n);
    await module.close();
  });
});
