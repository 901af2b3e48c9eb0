/** `LeaderStatusModule`: the state of all elections, as JSON. */
import {
  Inject,
  Injectable,
  Module,
  VersioningType,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  type ModuleMetadata,
} from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from 'vitest';
import {
  LeaderElectionModule,
  LeaderService,
  LeaderStatusModule,
  type LeaderElectionModuleOptions,
} from '../../lib/index.js';
import { LeaseApiServer, overrideLeaderElection, type OverriddenElections } from '../../lib/testing.js';

let app: INestApplication | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

interface Started {
  readonly elections: OverriddenElections;
  readonly get: (
    path?: string,
    headers?: Record<string, string>,
  ) => Promise<{ status: number; cached: string | null; body: unknown }>;
}

type Setup = (created: INestApplication) => void;

async function start(
  metadata: ModuleMetadata,
  options: Partial<LeaderElectionModuleOptions> = {},
  { fastify = false, setup = () => undefined }: { fastify?: boolean; setup?: Setup } = {},
): Promise<Started> {
  const given = { leaseName: 'invoices', identity: 'pod-1', advertise: 'http://10.0.0.1' };
  const builder = Test.createTestingModule({
    ...metadata,
    imports: [
      LeaderElectionModule.forRoot({ ...given, ...options }),
      LeaderElectionModule.forRoot({ name: 'billing', leaseName: 'bills', identity: 'pod-1' }),
      ...(metadata.imports ?? []),
    ],
  });
  const elections = overrideLeaderElection(builder);
  const module = await builder.compile();
  app = fastify
    ? module.createNestApplication(new FastifyAdapter(), { logger: false })
    : module.createNestApplication({ logger: false });
  setup(app);
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const get: Started['get'] = async (path = 'leader', headers = {}) => {
    const answer = await fetch(`${url}/${path}`, { headers });
    return {
      status: answer.status,
      cached: answer.headers.get('cache-control'),
      body: await answer.json(),
    };
  };
  return { elections, get };
}

const status = { imports: [LeaderStatusModule.forRoot()] };

it.each([
  ['Express', false],
  ['Fastify', true],
])('shows all elections on %s', async (_, fastify) => {
  const { elections, get } = await start(status, {}, { fastify });
  elections.elector().grant({ fencingToken: 7n });
  elections.elector('billing').revoke('superseded', 'pod-2');
  expect(await get()).toEqual({
    status: 200,
    cached: 'no-store',
    body: {
      elections: [
        {
          election: 'billing',
          leaseName: 'bills',
          status: 'up',
          state: 'following',
          identity: 'pod-1',
          leader: 'pod-2',
          problems: [],
        },
        {
          election: 'default',
          leaseName: 'invoices',
          status: 'up',
          state: 'leading',
          identity: 'pod-1',
          leader: 'pod-1',
          address: 'http://10.0.0.1',
          fencingToken: '7',
          since: expect.stringMatching(/^\d{4}-.*Z$/),
          lastRenewal: expect.stringMatching(/^\d{4}-.*Z$/),
          problems: [],
        },
      ],
    },
  });
});

it('is off unless it is imported', async () => {
  const { get } = await start({});
  expect(await get()).toMatchObject({ status: 404 });
});

it('with exposeLeader: false it names nobody', async () => {
  const { elections, get } = await start(status, { exposeLeader: false });
  elections.elector().grant();
  const { body } = await get();
  const [, shown] = (body as { elections: object[] }).elections;
  expect(shown).toMatchObject({ election: 'default', state: 'leading', fencingToken: '1' });
  expect(JSON.stringify(shown)).not.toMatch(/pod-1|10\.0\.0\.1/);
});

describe('the path', () => {
  it('is given, and comes behind the global prefix, in whatever version', async () => {
    const { get } = await start(
      { imports: [LeaderStatusModule.forRoot({ path: 'internal/elections' })] },
      {},
      {
        setup: (created) => {
          created.setGlobalPrefix('api');
          created.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
        },
      },
    );
    expect((await get('api/internal/elections')).status).toBe(200);
    expect((await get('leader')).status).toBe(404);
  });

  it('is the same for every version in a header, and can be excluded from the prefix', async () => {
    const { get } = await start(
      status,
      {},
      {
        setup: (created) => {
          created.setGlobalPrefix('api', { exclude: ['leader'] });
          created.enableVersioning({ type: VersioningType.HEADER, header: 'x-version' });
        },
      },
    );
    expect((await get()).status).toBe(200);
    expect((await get('leader', { 'x-version': '2' })).status).toBe(200);
  });
});

@Module({ providers: [{ provide: 'SECRET', useValue: 'open sesame' }], exports: ['SECRET'] })
class AuthModule {}

@Injectable()
class SecretGuard implements CanActivate {
  constructor(@Inject('SECRET') private readonly secret: string) {}

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return request.headers['x-secret'] === this.secret;
  }
}

it('guards that inject from another module stand before it', async () => {
  const { get } = await start({
    imports: [LeaderStatusModule.forRoot({ guards: [SecretGuard], imports: [AuthModule] })],
  });
  expect((await get()).status).toBe(403);
  expect((await get('leader', { 'x-secret': 'open sesame' })).status).toBe(200);
});

it.each([
  [{ path: '' }, /path is '': it must be a non-empty string/],
  [{ guards: ['admin'] }, /guards is .*: it must be a list of guards/],
  [{ guards: SecretGuard }, /guards is .*: it must be a list of guards/],
  [{ imports: AuthModule }, /imports is .*: it must be a list of modules/],
  [{ pth: 'x' }, /pth: there is no such option/],
])('refuses %o', (options, message) => {
  expect(() => LeaderStatusModule.forRoot(options as never)).toThrow(
    expect.objectContaining({ code: 'LEADER_INVALID_OPTIONS', message: expect.stringMatching(message) }),
  );
});

it('shows all that is wrong', async () => {
  const server = await LeaseApiServer.start();
  server.faults.add({ do: { answer: 500 } });
  const module = await Test.createTestingModule({
    imports: [
      LeaderElectionModule.forRoot({
        leaseName: 'invoices',
        leaseNamespace: 'default',
        preflight: 'off',
        kubernetes: { server: server.url },
      }),
      LeaderStatusModule.forRoot(),
    ],
  }).compile();
  app = module.createNestApplication({ logger: false });
  const told = new Promise((resolve) => app?.get(LeaderService).on('error', resolve));
  await app.listen(0, '127.0.0.1');
  await told;
  const answer = await fetch(`${await app.getUrl()}/leader`);
  const { elections } = (await answer.json()) as { elections: { problems: { code: string }[] }[] };
  const codes = elections[0]?.problems.map(({ code }) => code);
  expect(codes?.length).toBeGreaterThan(0);
  expect(elections[0]).toMatchObject({ status: 'up', error: elections[0]?.problems[0] });
  await server.stop();
});
