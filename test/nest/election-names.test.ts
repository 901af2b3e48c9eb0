/** Names of elections: duplicate ones, unknown ones, and those in errors. */
import { Inject, Injectable, Logger, Module, Optional, type Provider } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  InjectLeader,
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService as OurLeaderService,
  OnStartedLeading,
  OnlyWhenLeader,
  getLeaderToken,
} from '../../lib/index.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';

@Injectable()
class ByParameter {
  constructor(@InjectLeader('biling') readonly leader: OurLeaderService) {}
}
@Injectable()
class ByProperty {
  @InjectLeader('biling') readonly leader!: OurLeaderService;
}
@Injectable()
class ByGate {
  @OnlyWhenLeader({ election: 'biling' })
  work(): void {
    expect.unreachable();
  }
}
@Injectable()
class ByHook {
  @OnStartedLeading({ election: 'biling' })
  started(): void {
    expect.unreachable();
  }
}
const byFactory: Provider = { provide: 'ByFactory', inject: [getLeaderToken('biling')], useFactory: () => 1 };

const billing = LeaderElectionTestingModule.forRoot({ name: 'billing' });

let logged: string[] = [];
beforeEach(() => {
  logged = [];
  vi.spyOn(Logger.prototype, 'error').mockImplementation((line: unknown) => {
    logged.push(String(line));
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

async function boot(providers: Provider[], imports = [LeaderElectionTestingModule.forRoot(), billing]) {
  const module = await Test.createTestingModule({ imports, providers }).compile();
  await module.init();
  return module;
}

describe('an unknown election', () => {
  it.each([
    ['@InjectLeader on a parameter', ByParameter, 'ByParameter'],
    ['@InjectLeader on a property', ByProperty, 'ByProperty'],
    ['@OnlyWhenLeader', ByGate, 'ByGate'],
    ['@OnStartedLeading', ByHook, 'ByHook'],
    ['inject of a factory', byFactory, 'ByFactory'],
  ])('that %s needs stops the start; the log lists the known ones', async (_, provider, asking) => {
    await expect(boot([provider])).rejects.toThrow(/biling/);
    expect(logged).toEqual([
      `LEADER_MODULE_MISSING: Unknown election 'biling': ${asking} needs it. Known elections: 'billing', 'default'. Correct the ` +
        `name, or import LeaderElectionModule.forRoot({ name: 'biling', … }) in the root module; in a test, LeaderElectionTestingModule.forRoot({ name: 'biling', … }).`,
    ]);
  });

  it('may be the default one', async () => {
    @Injectable()
    class Asking {
      constructor(readonly leader: OurLeaderService) {}
    }
    await expect(boot([Asking], [billing])).rejects.toThrow(/LeaderService/);
    expect(logged.join()).toMatch(
      /Unknown election 'default': Asking needs it\. Known elections: 'billing'\. .*forRoot\(\{ … \}\)/,
    );
  });

  it('in a health check is named, with the known ones', async () => {
    const module = await boot([]);
    const health = module.get(LeaderHealthIndicator, { strict: false });
    expect(() => health.isHealthy('leader', { election: 'biling' })).toThrow(
      /^Unknown election 'biling': LeaderHealthIndicator was asked about it\. Known elections: 'billing', 'default'\./,
    );
    await module.close();
  });

  it('is named by Nest where no election is imported', async () => {
    await expect(boot([ByParameter], [])).rejects.toThrow(/"LeaderService:biling" at index \[0\]/);
  });

  it('may be optional, or provided by the application', async () => {
    @Injectable()
    class Content {
      constructor(
        @Optional() @InjectLeader('biling') readonly parameter?: OurLeaderService,
        @Inject(getLeaderToken('mocked')) readonly mocked?: unknown,
      ) {}
      @Optional() @InjectLeader('biling') readonly property?: OurLeaderService;
    }
    const module = await boot([Content, { provide: getLeaderToken('mocked'), useValue: 'mocked' }]);
    expect(logged).toEqual([]);
    expect(module.get(Content)).toMatchObject({
      parameter: undefined,
      property: undefined,
      mocked: 'mocked',
    });
    await module.close();
  });
});

describe('two elections of one name', () => {
  const alone = { enabled: false, leaseName: 'alone' };

  it('stop the boot', async () => {
    const twice = [
      LeaderElectionModule.forRoot({ name: 'billing', ...alone }),
      LeaderElectionModule.forRootAsync({ name: 'billing', useFactory: () => alone }),
    ];
    await expect(boot([], twice)).rejects.toMatchObject({
      code: 'LEADER_DUPLICATE_ELECTION',
      message: expect.stringMatching(/^Two elections are named 'billing'\./),
    });
  });

  it('are neither a class of the same name nor a stand-in for a LeaderService', async () => {
    @Injectable()
    class LeaderService {}
    @Module({ providers: [LeaderService, { provide: OurLeaderService, useValue: 'stand-in' }] })
    class FeatureModule {}
    const module = await boot(
      [LeaderService],
      [LeaderElectionTestingModule.forRoot(), { module: FeatureModule }],
    );
    expect(module.get(LeaderService)).toBeInstanceOf(LeaderService);
    await module.close();
  });
});

describe('an error names the election', () => {
  it.each([
    ['forRoot', LeaderElectionModule.forRoot({ name: 'billing', leaseName: 'A B', leaseNamespace: 'x' })],
    [
      'forRootAsync',
      LeaderElectionModule.forRootAsync({
        name: 'billing',
        useFactory: () => ({ leaseName: 'A B', leaseNamespace: 'x' }),
      }),
    ],
  ])('options of %s', async (_, module) => {
    await expect(boot([], [module])).rejects.toThrow(
      /^The options of the election 'billing' break a rule:\n {2}- leaseName is 'A B'/,
    );
  });

  it('options that are null', async () => {
    const module = LeaderElectionModule.forRootAsync({ name: 'billing', useFactory: () => null as never });
    await expect(boot([], [module])).rejects.toThrow(/'billing' break a rule:\n {2}- the options are null/);
  });

  it('an unknown namespace', async () => {
    const module = LeaderElectionModule.forRoot({ name: 'billing', leaseName: 'invoices' });
    await expect(boot([], [module])).rejects.toThrow(
      /^Cannot determine the namespace of Lease 'invoices' of the election 'billing'/,
    );
  });

  it('a name among the options of a factory', async () => {
    const module = LeaderElectionModule.forRootAsync({
      useFactory: () => ({ name: 'billing', enabled: false, leaseName: 'alone' }),
    });
    await expect(boot([], [module])).rejects.toThrow(/name: it must be given beside useFactory/);
  });

  it.each([[''], [' '], [7 as never]])('an invalid name: %j', (name) => {
    expect(() => LeaderElectionModule.forRoot({ name, leaseName: 'x' })).toThrow(
      /^.*\n {2}- name is .*: it must be/,
    );
  });
});

describe('two elections on one Lease', () => {
  const of = (name: string, options: object = {}) =>
    LeaderElectionModule.forRoot({
      name,
      leaseName: 'billing',
      leaseNamespace: 'default',
      kubernetes: { server: 'https://127.0.0.1:1' },
      ...options,
    });

  it.each<[string, object, object, string]>([
    ['of one name', {}, {}, 'billing'],
    ['one of which is being moved', {}, { leaseName: 'other', alsoLease: 'billing' }, 'billing'],
    [
      'both of which are moved from it',
      { leaseName: 'a', alsoLease: 'x' },
      { leaseName: 'b', alsoLease: 'x' },
      'x',
    ],
    ['one of which is a slot', { leaseName: 'billing-1' }, { slots: 2 }, 'billing-1'],
    [
      'by the same way, written differently',
      { kubernetes: { server: 'https://a', token: 't' } },
      { kubernetes: { token: 't', server: 'https://a' } },
      'billing',
    ],
    [
      'by the same way, once with a field that says nothing',
      { kubernetes: { server: 'https://a' } },
      { kubernetes: { server: 'https://a', token: undefined } },
      'billing',
    ],
  ])('are refused at boot: %s', async (_how, one, other, lease) => {
    const boot = Test.createTestingModule({ imports: [of('first', one), of('second', other)] }).compile();
    await expect(boot).rejects.toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringMatching(
        new RegExp(
          `The options of the election '(first|second)' .*the election '(first|second)' uses the Lease '${lease}', too`,
          's',
        ),
      ),
    });
  });

  it.each<[string, object, object]>([
    ['of another namespace', {}, { leaseNamespace: 'other' }],
    ['of another API server', {}, { kubernetes: { server: 'https://127.0.0.1:2' } }],
    ['where there is none', { enabled: false }, { enabled: false }],
  ])('are two, and accepted: %s', async (_how, one, other) => {
    const module = await Test.createTestingModule({
      imports: [of('first', one), of('second', other)],
    }).compile();
    expect(module.get(getLeaderToken('second'))).toBeDefined();
    await module.close();
  });
});
