/** `exposeLeader: false`: refusals and health checks contain no names. */
import { Controller, Get, type INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, expect, it } from 'vitest';
import { ScriptedElector } from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  OnlyWhenLeader,
  RequireLeader,
  getElectorToken,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import { handleOf } from '../../lib/nest/leader-handle.js';
import { LeaseApiServer } from '../../lib/testing.js';

const NAMES = ['pod-of-the-leader', 'pod-of-mine'];

class Ledger {
  @OnlyWhenLeader()
  async book(): Promise<string> {
    return Promise.resolve('booked');
  }

  @OnlyWhenLeader({ otherwise: ({ leader }) => leader })
  asksForTheLeader(): string {
    return 'mine';
  }
}

@Controller()
class Routes {
  constructor(private readonly ledger: Ledger) {}

  @Get('gated')
  @OnlyWhenLeader()
  gated(): string {
    return 'done';
  }

  @RequireLeader()
  @Get('guarded')
  guarded(): string {
    return 'done';
  }

  @Get('ungated')
  ungated(): Promise<string> {
    return this.ledger.book();
  }
}

let app: INestApplication;
afterEach(() => app.close());

async function follower(options: Partial<LeaderElectionModuleOptions>): Promise<ScriptedElector> {
  const elector = new ScriptedElector({ leaseName: 'billing', identity: 'pod-of-mine' });
  const module = await Test.createTestingModule({
    imports: [LeaderElectionModule.forRoot({ leaseName: 'billing', leaseNamespace: 'default', ...options })],
    controllers: [Routes],
    providers: [Ledger],
  })
    .overrideProvider(getElectorToken())
    .useValue(elector)
    .compile();
  app = module.createNestApplication({ logger: false });
  await app.listen(0, '127.0.0.1');
  elector.revoke('superseded', 'pod-of-the-leader');
  return elector;
}

/** Everything that the refusals and the health check of a follower say, and then of a leader. */
async function all(elector: ScriptedElector): Promise<string> {
  const url = await app.getUrl();
  const said: unknown[] = [];
  for (const path of ['gated', 'guarded', 'ungated']) {
    const answer = await fetch(`${url}/${path}`);
    expect([path, answer.status]).toEqual([path, 503]);
    said.push([...answer.headers], await answer.json());
  }
  said.push(
    await app
      .get(Ledger)
      .book()
      .catch((error: unknown) => [error, String(error), (error as { extensions: object }).extensions]),
  );
  said.push(app.get(LeaderHealthIndicator).isHealthy());
  elector.grant();
  said.push(app.get(LeaderHealthIndicator).isHealthy());
  return JSON.stringify(said);
}

it('by default they contain names', async () => {
  const said = await all(await follower({}));
  for (const name of NAMES) expect(said).toContain(name);
});

it('with exposeLeader: false they contain none', async () => {
  const elector = await follower({ exposeLeader: false });
  const body: unknown = await (await fetch(`${await app.getUrl()}/gated`)).json();
  expect(body).toEqual({
    statusCode: 503,
    error: 'Service Unavailable',
    message: "This process does not lead 'billing'.",
  });
  // The application itself knows.
  expect(app.get(Ledger).asksForTheLeader()).toBe('pod-of-the-leader');
  expect(app.get(LeaderService).getLeader()).toBe('pod-of-the-leader');
  const said = await all(elector);
  for (const name of NAMES) expect(said).not.toContain(name);
});

it('a health check shows only the code of an error', async () => {
  const server = await LeaseApiServer.start();
  const kubernetes = { server: server.url, tokenFile: '/no/such/token' };
  const module = await Test.createTestingModule({
    imports: [
      LeaderElectionModule.forRoot({
        leaseName: 'billing',
        leaseNamespace: 'default',
        preflight: 'off',
        exposeLeader: false,
        kubernetes,
      }),
    ],
  }).compile();
  app = module.createNestApplication({ logger: false });
  const told = new Promise((resolve) => app.get(LeaderService).on('error', resolve));
  await app.init();
  await told;
  const { leader } = app.get(LeaderHealthIndicator).isHealthy();
  expect(leader).toEqual({
    status: 'up',
    state: 'following',
    watch: 'connecting',
    error: { code: expect.any(String) as string },
  });
  await server.stop();
});

it('exposeLeader must be true or false', () => {
  const options = { leaseName: 'billing', leaseNamespace: 'default', exposeLeader: 'no' as never };
  app = { close: () => Promise.resolve() } as INestApplication;
  return expect(
    Test.createTestingModule({ imports: [LeaderElectionModule.forRoot(options)] }).compile(),
  ).rejects.toMatchObject({ violations: ["exposeLeader is 'no': it must be true or false"] });
});

it('a health check shows only the code of the error that ended an election', async () => {
  await follower({ exposeLeader: false });
  handleOf(app.get(LeaderService))?.failed(
    Object.assign(new Error('/var/run/secrets'), { name: 'OwnError' }),
  );
  const { leader } = app.get(LeaderHealthIndicator).isHealthy();
  expect(leader).toMatchObject({ status: 'down', message: 'the election ended with an error: OwnError' });
});
