/** LeaderGuard and @RequireLeader(): a follower refuses before interceptors and pipes run. */
import {
  Controller,
  Get,
  Injectable,
  Param,
  ParseIntPipe,
  Post,
  Scope,
  Sse,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type MessageEvent,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { OnEvent } from '@nestjs/event-emitter';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Cron } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { of, type Observable } from 'rxjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ScriptedElector } from '../../lib/election/index.js';
import {
  LeaderGuard,
  LeaderService,
  OnlyWhenLeader,
  RequireLeader,
  currentTerm,
  getElectorToken,
} from '../../lib/index.js';
import { LeaderElectionTestingModule, runInFakeTerm } from '../../lib/testing.js';

const adapters: [string, () => ExpressAdapter][] = [
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter() as unknown as ExpressAdapter],
];

/** As CacheInterceptor with the old leader's answer. */
@Injectable()
class Cached implements NestInterceptor {
  intercept(_context: ExecutionContext, _next: CallHandler): Observable<unknown> {
    return of('cached');
  }
}

@Controller()
class Routes {
  @Get('number/:id')
  @RequireLeader()
  number(@Param('id', ParseIntPipe) id: number): string {
    return String(id);
  }

  @UseInterceptors(Cached)
  @RequireLeader()
  @Get('cached')
  cached(): string {
    return 'fresh';
  }

  @UseGuards(LeaderGuard)
  @Get('plainly')
  plainly(): string {
    return 'done';
  }

  @RequireLeader()
  @OnlyWhenLeader()
  @Post('both')
  both(): string {
    return String(currentTerm().fencingToken);
  }

  @OnlyWhenLeader()
  @RequireLeader()
  @Post('above')
  above(): string {
    return String(currentTerm().fencingToken);
  }

  @RequireLeader()
  @Sse('sse')
  sse(): Observable<MessageEvent> {
    return of({ data: 'done' });
  }

  @Get('free')
  free(): string {
    return 'free';
  }
}

@RequireLeader()
@Controller({ path: 'scoped', scope: Scope.REQUEST })
class Scoped {
  @Get()
  scoped(): string {
    return 'scoped';
  }
}

async function listening(
  metadata: { controllers: Type[]; providers?: object[] },
  { adapter = new ExpressAdapter(), elections = ['default'] } = {},
): Promise<{ url: string; electors: ScriptedElector[]; outcomes: string[] }> {
  const outcomes: string[] = [];
  const metrics = {
    meter: () => (measured: { type: string; outcome?: string }) => {
      if (measured.type === 'call') outcomes.push(String(measured.outcome));
    },
  };
  const module = await Test.createTestingModule({
    ...(metadata as object),
    imports: elections.map((name) => LeaderElectionTestingModule.forRoot({ name, metrics: metrics })),
  }).compile();
  const app = module.createNestApplication(adapter, { logger: false });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  const electors = elections.map((name) => app.get<ScriptedElector>(getElectorToken(name)));
  return { url: await app.getUrl(), electors, outcomes };
}

const refusal = { statusCode: 503, error: 'Service Unavailable', leader: 'the-other' };

describe.each(adapters)('on %s', (_, adapter) => {
  it('a follower answers 503 before pipes and interceptors', async () => {
    const { url, electors, outcomes } = await listening(
      { controllers: [Routes, Scoped] },
      { adapter: adapter() },
    );
    electors[0]?.revoke('superseded', 'the-other');
    const paths = ['number/none', 'cached', 'plainly', 'sse', 'scoped'];
    for (const path of paths) {
      const refused = await fetch(`${url}/${path}`);
      expect([path, refused.status, refused.headers.get('retry-after')]).toEqual([path, 503, '1']);
      expect(await refused.json()).toMatchObject({
        ...refusal,
        message: expect.stringContaining('the-other') as unknown,
      });
    }
    for (const path of ['both', 'above'])
      expect([path, (await fetch(`${url}/${path}`, { method: 'POST' })).status]).toEqual([path, 503]);
    expect(await (await fetch(`${url}/free`)).text()).toBe('free');
    // A guard and a gate on one method refuse a call once.
    expect(outcomes).toEqual(Array(paths.length + 2).fill('rejected'));
  });

  it('the leader runs everything', async () => {
    const { url, electors } = await listening({ controllers: [Routes, Scoped] }, { adapter: adapter() });
    electors[0]?.grant({ fencingToken: 12n });
    const answers = new Map([
      ['number/5', '5'],
      ['cached', 'cached'],
      ['plainly', 'done'],
      ['scoped', 'scoped'],
    ]);
    for (const [path, answer] of answers) expect(await (await fetch(`${url}/${path}`)).text()).toBe(answer);
    expect((await fetch(`${url}/number/none`)).status).toBe(400);
    for (const path of ['both', 'above'])
      expect(await (await fetch(`${url}/${path}`, { method: 'POST' })).text()).toBe('12');
  });

  it('a term that is handed over does not pass', async () => {
    const { url, electors } = await listening({ controllers: [Routes] }, { adapter: adapter() });
    electors[0]?.grant();
    electors[0]?.revoke();
    expect((await fetch(`${url}/plainly`)).status).toBe(503);
  });
});

describe('several elections', () => {
  @RequireLeader('billing')
  @Controller()
  class Billing {
    @Get('class')
    ofClass(): string {
      return 'done';
    }

    @RequireLeader('reports')
    @Get('own')
    own(): string {
      return 'done';
    }

    @RequireLeader('reports')
    @RequireLeader('billing')
    @Get('all')
    all(): string {
      return 'done';
    }
  }

  it('a method counts instead of its class, and several on one method are all required', async () => {
    const { url, electors } = await listening(
      { controllers: [Billing] },
      { elections: ['billing', 'reports'] },
    );
    const [billing, reports] = electors;
    const seen = async (): Promise<number[]> =>
      Promise.all(['class', 'own', 'all'].map(async (path) => (await fetch(`${url}/${path}`)).status));
    expect(await seen()).toEqual([503, 503, 503]);
    billing?.grant();
    expect(await seen()).toEqual([200, 503, 503]);
    reports?.grant();
    expect(await seen()).toEqual([200, 200, 200]);
    billing?.revoke();
    expect(await seen()).toEqual([503, 200, 503]);
  });
});

it('as a global guard it lets pass what is not marked', async () => {
  const { url } = await listening({
    controllers: [Routes],
    providers: [{ provide: APP_GUARD, useClass: LeaderGuard }],
  });
  expect((await fetch(`${url}/free`)).status).toBe(200);
  for (const path of ['number/5', 'plainly'])
    expect([path, (await fetch(`${url}/${path}`)).status]).toEqual([path, 503]);
});

it('a subclass of it guards, too', async () => {
  @Injectable()
  class Own extends LeaderGuard {}
  @UseGuards(Own)
  @Controller()
  class Owned {
    @Get()
    get(): string {
      return 'done';
    }
  }
  const { url } = await listening({ controllers: [Owned] });
  expect((await fetch(url)).status).toBe(503);
});

it('a fake term passes', async () => {
  const { guard } = await guardOf();
  const context = contextOf(Routes, 'plainly');
  expect(() => guard.canActivate(context)).toThrow(expect.objectContaining({ status: 503 }));
  expect(runInFakeTerm({ fencingToken: 3n }, () => guard.canActivate(context))).toBe(true);
});

it('a replaced LeaderService is named', async () => {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot()],
    providers: [LeaderGuard],
  })
    .overrideProvider(LeaderService)
    .useValue({ isLeader: () => true, on: () => undefined })
    .compile();
  const asked = 'Routes.plainly() is under LeaderGuard';
  expect(() => module.get(LeaderGuard).canActivate(contextOf(Routes, 'plainly'))).toThrow(
    expect.objectContaining({
      code: 'LEADER_MODULE_MISSING',
      message: expect.stringContaining(asked) as string,
    }),
  );
});

async function guardOf(): Promise<{ guard: LeaderGuard }> {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot()],
    providers: [LeaderGuard],
  }).compile();
  await module.init();
  onTestFinished(() => module.close());
  return { guard: module.get(LeaderGuard) };
}

/** The context of a route, as a guard sees it. */
function contextOf(type: Type, method: string): ExecutionContext {
  return {
    getClass: () => type,
    getHandler: () => (type.prototype as Record<string, object>)[method],
    getArgs: () => [],
    getType: () => 'http',
    switchToHttp: () => ({ getResponse: () => ({ header: () => undefined }) }),
  } as unknown as ExecutionContext;
}

describe('the start fails', () => {
  const start = async (
    controllers: Type[],
    providers: Type[] = [],
    elections = ['default'],
  ): Promise<void> => {
    const module = await Test.createTestingModule({
      controllers,
      providers,
      imports: elections.map((name) => LeaderElectionTestingModule.forRoot({ name })),
    }).compile();
    await module.close();
  };

  it('for an election that no module provides', async () => {
    @Controller()
    class Unknown {
      @RequireLeader('biling')
      @Get()
      get(): string {
        return 'done';
      }
    }
    await expect(start([Unknown])).rejects.toMatchObject({
      code: 'LEADER_MODULE_MISSING',
      message: expect.stringContaining("Unknown election 'biling': Unknown.get()") as unknown,
    });
  });

  it('for a guard without an election', async () => {
    const { plainly } = Routes.prototype;
    expect(plainly).toBeTypeOf('function');
    await expect(start([Routes], [], [])).rejects.toThrow(/forRoot/);
    @UseGuards(LeaderGuard)
    @Controller()
    class Guarded {
      @Get()
      get(): string {
        return 'done';
      }
    }
    const module = await Test.createTestingModule({ controllers: [Guarded] }).compile();
    await expect(module.createNestApplication({ logger: false }).init()).rejects.toMatchObject({
      code: 'LEADER_MODULE_MISSING',
    });
    await expect(start([Guarded], [], ['billing'])).rejects.toMatchObject({
      code: 'LEADER_MODULE_MISSING',
      message: expect.stringContaining(
        "Guarded.get() is under LeaderGuard. Known elections: 'billing'",
      ) as unknown,
    });
  });

  it('for handlers that Nest calls without guards', async () => {
    class Jobs {
      @RequireLeader()
      @Cron('* * * * *')
      send(): void {
        throw new Error('not reached');
      }

      @OnEvent('paid')
      @UseGuards(LeaderGuard)
      paid(): void {
        throw new Error('not reached');
      }

      @OnlyWhenLeader()
      @RequireLeader()
      @Cron('* * * * *')
      gated(): void {
        throw new Error('not reached');
      }
    }
    const failure = await start([], [Jobs]).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      violations: [
        expect.stringMatching(/^Jobs\.send\(\) .*@Cron.*@OnlyWhenLeader\(\)/),
        expect.stringMatching(/^Jobs\.paid\(\) .*@OnEvent/),
      ],
    });
  });
});

it('stands on methods of instances only', () => {
  expect(() => {
    class Static {
      @RequireLeader()
      static get(): string {
        return 'done';
      }
    }
    return Static;
  }).toThrow(/static method/);
  expect(() => {
    class Property {}
    (RequireLeader() as (target: object, key: string) => void)(Property.prototype, 'value');
  }).toThrow(/not a method/);
});
