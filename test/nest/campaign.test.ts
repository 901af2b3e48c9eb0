/** The option campaign. */
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { lastValueFrom, of, toArray, type Observable } from 'rxjs';
import { describe, expect, it } from 'vitest';
import {
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  OnlyWhenLeader,
  isLeaderError,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';
import { Replicas } from './replicas.js';

@Injectable()
class Invoices {
  sent = 0;

  @OnlyWhenLeader({ otherwise: 'reject' })
  async send(): Promise<void> {
    this.sent += 1;
    await Promise.resolve();
  }
}

const replicas = new Replicas();
const startedWith = async (options: Partial<LeaderElectionModuleOptions>): Promise<LeaderService> => {
  const app = await replicas.start([{ leaseName: 'x', ...options }], [Invoices]);
  return app.get(LeaderService);
};
/** Resolves when the state is so. */
async function until(leader: LeaderService, fits: () => boolean): Promise<void> {
  for await (const _ of leader.changes()) if (fits()) return;
}

it('false: the process knows who leads, its gates are closed, its health is up, and whenLeader() rejects', async () => {
  const worker = await startedWith({});
  await worker.whenLeader();
  const web = await startedWith({ campaign: false });
  await until(web, () => web.getLeader() === worker.identity);
  expect(web.state).toMatchObject({
    kind: 'following',
    campaigns: false,
    leader: worker.identity,
    error: undefined,
  });
  const [, app] = replicas.apps;
  await expect(app?.get(Invoices).send()).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER' });
  expect(app?.get(LeaderHealthIndicator).isHealthy()).toMatchObject({
    leader: { status: 'up', state: 'following' },
  });
  await expect(web.whenLeader()).rejects.toMatchObject({ code: 'LEADER_NOT_CAMPAIGNING' });
  await expect(web.runAsLeader(() => 1)).rejects.toMatchObject({ code: 'LEADER_NOT_CAMPAIGNING' });

  await replicas.closeFirst();
  await until(web, () => web.getLeader() === '');
  expect(replicas.server.leases.map(({ spec }) => spec.holderIdentity)).toEqual(['']);
});

it('false: get and watch on the Lease are all the permissions it needs', async () => {
  const rules = [
    { user: 'web', verbs: ['get', 'watch'], resourceNames: ['x'] },
    { user: 'worker', verbs: ['*'] },
  ] as const;
  const server = await LeaseApiServer.start({ rules });
  const web = await startedWith({
    campaign: false,
    kubernetes: { server: server.url, token: 'web' },
    preflight: 'fail',
    events: true,
    leaderPodLabels: { role: 'leader' },
    takeover: 'podStatus',
  });
  await expect(web.whenLeader()).rejects.toMatchObject({ code: 'LEADER_NOT_CAMPAIGNING' });
  const worker = await startedWith({ kubernetes: { server: server.url, token: 'worker' } });
  await until(web, () => web.getLeader() === worker.identity);
  expect(web.lastError).toBeUndefined();
  await Promise.all(replicas.apps.splice(0).map((app) => app.close()));
  await server.stop();
});

it('a function is called once, after every start hook', async () => {
  const calls: string[] = [];
  @Injectable()
  class Role {
    isWorker = false;

    onApplicationBootstrap(): void {
      calls.push('hook');
      this.isWorker = true;
    }
  }
  const role = new Role();
  const app = await replicas.start(
    [
      {
        leaseName: 'x',
        campaign: () => {
          calls.push('campaign');
          return Promise.resolve(role.isWorker);
        },
      },
    ],
    [{ provide: Role, useValue: role }],
  );
  await app.get(LeaderService).whenLeader();
  expect(calls).toEqual(['hook', 'campaign']);
});

it('a function that says no ends the waits of those who asked before', async () => {
  let answer: (campaigns: boolean) => void = () => undefined;
  const answered = new Promise<boolean>((resolve) => {
    answer = resolve;
  });
  const leader = await startedWith({ campaign: () => answered });
  const waited = leader.whenLeader().catch((error: unknown) => error);
  answer(false);
  expect(isLeaderError(await waited, 'LEADER_NOT_CAMPAIGNING')).toBe(true);
});

it('calls that wait until this process leads do nothing where it never will', async () => {
  @Injectable()
  class Waiting {
    @OnlyWhenLeader({ kind: 'timeout' })
    async warmUp(): Promise<string> {
      return await Promise.resolve('ran');
    }

    @OnlyWhenLeader({ kind: 'saga' })
    saga(): Observable<string> {
      return of('ran');
    }
  }
  for (const campaign of [false, () => Promise.resolve(false)]) {
    const app = await replicas.start([{ leaseName: 'x', campaign }], [Waiting]);
    const waiting = app.get(Waiting);
    await expect(waiting.warmUp()).resolves.toBeUndefined();
    expect(await lastValueFrom(waiting.saga().pipe(toArray()))).toEqual([]);
  }
});

it('with enabled: false it decides whether this process always leads or always follows', async () => {
  for (const campaign of [false, () => Promise.resolve(false), true, () => true]) {
    const app = await NestFactory.createApplicationContext(
      LeaderElectionModule.forRoot({ leaseName: 'x', enabled: false, campaign }),
      { logger: false },
    );
    const leads = typeof campaign === 'function' ? await campaign() : campaign;
    expect(app.get(LeaderService).isLeader()).toBe(leads);
    await app.close();
  }
});

describe('with enabled: false', () => {
  const alone = (
    campaign: LeaderElectionModuleOptions['campaign'],
    retryPeriod = 2_000,
  ): Promise<INestApplicationContext> =>
    NestFactory.createApplicationContext(
      LeaderElectionModule.forRoot({ leaseName: 'x', enabled: false, campaign, retryPeriod }),
      { logger: false },
    );

  it('a function is called when the application has started', async () => {
    const role = { isWorker: false };
    const module = await Test.createTestingModule({
      imports: [
        LeaderElectionModule.forRoot({ leaseName: 'x', enabled: false, campaign: () => role.isWorker }),
      ],
    }).compile();
    const app = module.createNestApplication({ logger: false });
    role.isWorker = true;
    await app.init();
    const term = await app.get(LeaderService).whenLeader();
    expect(term.fencingToken).toBe(0n);
    await app.close();
  });

  it('the waits of a process that never leads end', async () => {
    for (const campaign of [false, () => Promise.resolve(false)]) {
      const app = await alone(campaign);
      const leader = app.get(LeaderService);
      await expect(leader.whenLeader()).rejects.toMatchObject({ code: 'LEADER_NOT_CAMPAIGNING' });
      expect(leader.state).toMatchObject({ kind: 'following', campaigns: false });
      await app.close();
    }
  });

  it('a function that fails, or says neither true nor false, is reported and called again', async () => {
    const answers = [
      () => Promise.reject(new Error('no answer')),
      () => 'false' as unknown as boolean,
      () => true,
    ];
    const app = await alone(() => answers.shift()?.() ?? false, 10);
    const leader = app.get(LeaderService);
    expect(leader.lastError).toMatchObject({ code: 'LEADER_NOT_READY' });
    await leader.whenLeader();
    expect([answers.length, leader.state]).toMatchObject([0, { kind: 'leading', error: undefined }]);
    await app.close();
  });
});

it('anything but true, false or a function is refused', async () => {
  await expect(startedWith({ campaign: 'no' as unknown as boolean })).rejects.toMatchObject({
    violations: ["campaign is 'no': it must be true or false, or a function that returns one of them"],
  });
});
