/** With `exactOptionalPropertyTypes` an option that is undefined compiles, and has its default. */
import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import {
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  OnStartedLeading,
  OnlyWhenLeader,
} from '../../lib/index.js';
import {
  LeaderElectionTestingModule,
  LeaseApiServer,
  ScriptedElector,
  runInFakeTerm,
} from '../../lib/testing.js';

@Injectable()
class Work {
  started = 0;

  @OnStartedLeading({ election: undefined })
  hook(): void {
    this.started += 1;
  }

  @OnlyWhenLeader({ election: undefined, otherwise: undefined })
  run(): string {
    return 'run';
  }
}

const extras = { name: undefined, isGlobal: undefined };
const options = { leaseName: 'x', enabled: false };
@Module({})
class Nothing {}

it.each([
  ['forRoot', () => LeaderElectionModule.forRoot({ ...extras, ...options })],
  [
    'forRootAsync',
    () =>
      LeaderElectionModule.forRootAsync({
        ...extras,
        imports: undefined,
        inject: undefined,
        useFactory: () => options,
        useClass: undefined,
        useExisting: undefined,
      }),
  ],
])('%s()', async (_method, election) => {
  const module = await Test.createTestingModule({
    imports: [election(), Nothing],
    providers: [Work],
  }).compile();
  module.useLogger(false);
  await module.init();
  const leader = module.get(LeaderService);
  const work = module.get(Work);
  expect([await leader.whenLeader({ signal: undefined }), work.run(), work.started]).toEqual([
    leader.term,
    'run',
    1,
  ]);
  const limits = {
    election: undefined,
    maxTolerableExpiredLease: undefined,
    downWhenNoLeaderForMs: undefined,
  };
  expect(module.get(LeaderHealthIndicator).isHealthy('leader', limits).leader.status).toBe('up');
  await leader.term?.confirm({ signal: undefined });
  await leader.stepDown({ cooldown: undefined });
  await module.close();
});

it('the testing kit', async () => {
  const module = await Test.createTestingModule({
    imports: [
      LeaderElectionTestingModule.forRoot({
        startAs: undefined,
        name: undefined,
        identity: undefined,
        drainTimeout: undefined,
        termLimit: undefined,
        metrics: undefined,
        traces: undefined,
      }),
    ],
    providers: [Work],
  }).compile();
  await module.init();
  module.get(ScriptedElector).grant({ fencingToken: undefined, slot: undefined, validFor: undefined });
  expect(module.get(LeaderService).term?.fencingToken).toBe(1n);
  await module.close();
  const fake = { fencingToken: undefined, election: undefined };
  expect(runInFakeTerm(fake, () => new Work().run())).toBe('run');
});

it('the embedded API server', async () => {
  const nobody = { tls: undefined, namespaces: undefined, tokens: undefined, rules: undefined };
  const server = await LeaseApiServer.start({ port: undefined, ...nobody });
  const every = { verb: undefined, namespace: undefined, name: undefined, user: undefined, token: undefined };
  server.faults.add({ when: every, times: undefined, do: { answer: 503, retryAfterSeconds: undefined } });
  const answer = await fetch(`${server.url}/apis/coordination.k8s.io/v1/namespaces/default/leases/x`);
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
  expect(server.kubeconfig({ token: undefined, namespace: undefined })).toBe(server.kubeconfig());
  await server.stop();
});
