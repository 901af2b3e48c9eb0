import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { ScriptedElector } from '../../lib/election/index.js';
import {
  InjectLeader,
  LeaderElectionModule,
  LeaderService,
  OnlyWhenLeader,
  getElectorToken,
  getLeaderToken,
  type LeaderElectionModuleOptions,
  type LeaderElectionOptionsFactory,
} from '../../lib/index.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';

const alone: LeaderElectionModuleOptions = { enabled: false, leaseName: 'alone', identity: 'only-me' };

@Injectable()
class Factory implements LeaderElectionOptionsFactory {
  createLeaderElectionOptions(): Promise<LeaderElectionModuleOptions> {
    return Promise.resolve({ ...alone, identity: 'from-a-class' });
  }
}

@Module({
  providers: [Factory, { provide: 'IDENTITY', useValue: 'from-a-factory' }],
  exports: [Factory, 'IDENTITY'],
})
class ConfigModule {}

async function identityWith(imported: ReturnType<typeof LeaderElectionModule.forRoot>): Promise<string> {
  const module = await Test.createTestingModule({ imports: [imported] }).compile();
  await module.init();
  const { identity } = module.get(LeaderService);
  await module.close();
  return identity;
}

describe('options', () => {
  it('come from forRoot', async () => {
    expect(await identityWith(LeaderElectionModule.forRoot(alone))).toBe('only-me');
  });

  it.each([
    [
      'useFactory',
      'from-a-factory',
      LeaderElectionModule.forRootAsync({
        imports: [ConfigModule],
        inject: ['IDENTITY'],
        useFactory: (identity: string) => ({ ...alone, identity }),
      }),
    ],
    ['useClass', 'from-a-class', LeaderElectionModule.forRootAsync({ useClass: Factory })],
    [
      'useExisting',
      'from-a-class',
      LeaderElectionModule.forRootAsync({ imports: [ConfigModule], useExisting: Factory }),
    ],
  ])('come from %s', async (_, identity, imported) => {
    expect(await identityWith(imported)).toBe(identity);
  });

  it('are refused at boot, with every rule they break', async () => {
    const boot = Test.createTestingModule({
      imports: [
        LeaderElectionModule.forRoot({
          leaseName: 'Not A Name',
          leaseNamespace: 'default',
          leaseDuration: 1500,
          renewDeadline: 20_000,
          nonsense: 1,
          nought: 0,
          takeOver: 'expiry',
        } as never),
      ],
    }).compile();
    await expect(boot).rejects.toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      violations: [
        expect.stringMatching(
          /^nonsense, nought, takeOver \(did you mean takeover\?\): there is no such option/,
        ),
        expect.stringMatching(/^leaseName is 'Not A Name'/),
        expect.stringMatching(/^leaseDuration is 1500: it must be a whole number of seconds/),
        expect.stringMatching(/^leaseDuration is 1500 and renewDeadline 20000/),
      ],
    });
  });

  it('are refused at start when the namespace is unknown', async () => {
    const boot = Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'somewhere' })],
    }).compile();
    await expect(boot).rejects.toMatchObject({
      code: 'LEADER_NO_NAMESPACE',
      // How to run without a cluster is said once.
      message: expect.stringMatching(
        /Set leaseNamespace(?!.*enabled: false.*enabled: false).*enabled: false/s,
      ),
    });
  });

  it('need exactly one of useFactory, useClass and useExisting', () => {
    expect(() => LeaderElectionModule.forRootAsync({})).toThrow('exactly one');
  });
});

describe('enabled: false', () => {
  it('leads at once, with token 0 and no API server', async () => {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot(alone)],
    }).compile();
    module.useLogger(false);
    await module.init();
    const leader = module.get(LeaderService);
    expect([leader.isLeader(), leader.getLeader(), leader.term?.fencingToken]).toEqual([true, 'only-me', 0n]);
    await module.close();
    expect(leader.isLeader()).toBe(false);
  });
});

describe('several elections', () => {
  @Injectable()
  class Both {
    constructor(
      readonly main: LeaderService,
      @InjectLeader('billing') readonly billing: LeaderService,
    ) {}

    @OnlyWhenLeader({ election: 'billing', otherwise: 'skip' })
    bill(): string {
      return 'billed';
    }
  }

  it('live beside each other, each with its own leader and gates', async () => {
    const module = await Test.createTestingModule({
      imports: [
        LeaderElectionTestingModule.forRoot(),
        LeaderElectionTestingModule.forRoot({ name: 'billing' }),
      ],
      providers: [Both],
    }).compile();
    await module.init();
    const both = module.get(Both);
    module.get<ScriptedElector>(getElectorToken('billing')).grant();
    expect([both.main.isLeader(), both.billing.isLeader(), both.bill()]).toEqual([false, true, 'billed']);
    expect(module.get(getLeaderToken('billing'))).toBe(both.billing);
    await module.close();
  });

  it('of one name are refused at boot', async () => {
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot(alone), LeaderElectionModule.forRoot({ ...alone })],
    }).compile();
    await expect(module.init()).rejects.toMatchObject({
      code: 'LEADER_DUPLICATE_ELECTION',
      message: expect.stringContaining('forRoot({ name, … })'),
    });
  });

  it('of an unknown name are refused at boot, saying what to import', async () => {
    const boot = Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot()],
      providers: [Both],
    });
    await expect(boot.compile()).rejects.toThrow(/billing/);
  });
});

describe('a missing module', () => {
  it('fails at boot, saying what to import', async () => {
    @Injectable()
    class Alone {
      @OnlyWhenLeader()
      work(): void {
        expect.unreachable();
      }
    }
    const boot = Test.createTestingModule({ providers: [Alone] }).compile();
    await expect(boot).rejects.toThrow(
      "needs the election 'default': import LeaderElectionModule.forRoot({ … }) in the root module",
    );
  });
});

describe('two applications in one process', () => {
  it('do not touch each other', async () => {
    const make = () =>
      Test.createTestingModule({ imports: [LeaderElectionTestingModule.forRoot()] }).compile();
    const [one, two] = [await make(), await make()];
    await Promise.all([one.init(), two.init()]);
    one.get(ScriptedElector).grant();
    expect([one.get(LeaderService).isLeader(), two.get(LeaderService).isLeader()]).toEqual([true, false]);
    await one.close();
    two.get(ScriptedElector).grant();
    expect([one.get(LeaderService).isLeader(), two.get(LeaderService).isLeader()]).toEqual([false, true]);
    await two.close();
  });
});

describe('overrideProvider', () => {
  it("puts another elector in an application's module", async () => {
    const elector = new ScriptedElector();
    const module = await Test.createTestingModule({
      imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y' })],
    })
      .overrideProvider(getElectorToken())
      .useValue(elector)
      .compile();
    module.useLogger(false);
    await module.init();
    elector.grant();
    expect(module.get(LeaderService).isLeader()).toBe(true);
    await module.close();
  });
});
