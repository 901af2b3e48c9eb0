/** Routes on Express and on Fastify. */
import {
  Catch,
  Controller,
  Get,
  HttpException,
  Post,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { LeaderElectionModule, OnlyWhenLeader, currentTerm, getElectorToken } from 'nestjs-leader';
import { Observable, Subject } from 'rxjs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { adapters, listening } from './application.js';

const started = new Subject<void>();
const goOn = new Subject<void>();

@Controller()
class Routes {
  @Get('value')
  @OnlyWhenLeader()
  value(): object {
    return { token: String(currentTerm().fencingToken) };
  }

  @OnlyWhenLeader()
  @Get('promise')
  async promise(): Promise<object> {
    return { token: String(currentTerm().fencingToken) };
  }

  @Post('skip')
  @OnlyWhenLeader({ otherwise: 'skip' })
  skip(): string {
    return 'done';
  }

  @Get('answer')
  @OnlyWhenLeader({ otherwise: ({ leader }) => ({ ask: leader }) })
  answer(): object {
    return { mine: true };
  }

  @Get('interrupted')
  @OnlyWhenLeader()
  async interrupted(): Promise<void> {
    const until = new Promise<void>((resolve) => goOn.subscribe(() => resolve()));
    started.next();
    await until;
    currentTerm().throwIfOver();
  }

  @Get('observable')
  @OnlyWhenLeader()
  observable(): Observable<string> {
    return new Observable(() => started.next());
  }
}

@OnlyWhenLeader()
@Controller('whole')
class Whole {
  @Get()
  whole(): string {
    return this.helper();
  }

  helper(): string {
    return 'free';
  }
}

describe.each(adapters)('on %s', (_, adapter) => {
  it('a follower answers 503, with the leader and with Retry-After', async () => {
    const { url, elector, errors } = await listening({ controllers: [Routes, Whole] }, adapter());
    elector.revoke('superseded', 'the-other');
    for (const path of ['value', 'promise', 'whole']) {
      const refused = await fetch(`${url}/${path}`);
      expect([path, refused.status, refused.headers.get('retry-after')]).toEqual([path, 503, '1']);
      expect(await refused.json()).toEqual({
        statusCode: 503,
        error: 'Service Unavailable',
        message: expect.stringContaining('the-other'),
        leader: 'the-other',
      });
    }
    const skipped = await fetch(`${url}/skip`, { method: 'POST' });
    expect([skipped.status, await skipped.text()]).toEqual([204, '']);
    expect(await (await fetch(`${url}/answer`)).json()).toEqual({ ask: 'the-other' });
    expect(errors).toEqual([]);
  });

  it('a leader answers', async () => {
    const { url, elector } = await listening({ controllers: [Routes, Whole] }, adapter());
    elector.grant({ fencingToken: 12n });
    for (const path of ['value', 'promise']) {
      const answer = await fetch(`${url}/${path}`);
      expect([await answer.json(), answer.headers.get('retry-after')]).toEqual([{ token: '12' }, null]);
    }
    expect(await (await fetch(`${url}/whole`)).text()).toBe('free');
    expect((await fetch(`${url}/skip`, { method: 'POST' })).status).toBe(201);
  });

  it.each([
    ['interrupted', 'the-next'],
    // At that moment nobody else is known to lead yet.
    ['observable', ''],
  ])('what the end of the term ends, answers 503 too: %s', async (path, leader) => {
    const { url, elector, errors } = await listening({ controllers: [Routes] }, adapter());
    elector.grant();
    const underWay = new Promise<void>((resolve) => started.subscribe(() => resolve()));
    const answer = fetch(`${url}/${path}`);
    await underWay;
    elector.revoke('superseded', 'the-next');
    goOn.next();
    const { status, headers } = await answer;
    expect([status, headers.get('retry-after'), await (await answer).json()]).toMatchObject([
      503,
      '1',
      { leader },
    ]);
    expect(errors).toEqual([]);
  });

  it('Retry-After says when this process may lead at the earliest', async () => {
    const url = await followerOf(() => performance.now() + 6_500, adapter());
    expect((await fetch(`${url}/value`)).headers.get('retry-after')).toBe('7');
  });

  it("a filter of the application's own sees the exception, and Retry-After is set all the same", async () => {
    @Catch(HttpException)
    class Own implements ExceptionFilter {
      catch(exception: HttpException, host: ArgumentsHost): void {
        const response = host
          .switchToHttp()
          .getResponse<{ status(code: number): { send(body: object): void } }>();
        response.status(exception.getStatus()).send({ mine: exception.getResponse() });
      }
    }
    const providers = [{ provide: APP_FILTER, useClass: Own }];
    const { url } = await listening({ controllers: [Routes], providers }, adapter());
    const refused = await fetch(`${url}/value`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await refused.json()).toMatchObject({ mine: { statusCode: 503, leader: '' } });
  });
});

/** Where an application listens that respects somebody's lease until then. */
async function followerOf(
  expiresAt: () => number,
  adapter: ReturnType<(typeof adapters)[0][1]>,
): Promise<string> {
  const elector = {
    leaseName: 'billing',
    identity: 'me',
    get state() {
      return { kind: 'following', leader: 'the-other', expiresAt: expiresAt() };
    },
    run: (signal: AbortSignal) =>
      new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
  };
  const module = await Test.createTestingModule({
    imports: [LeaderElectionModule.forRoot({ leaseName: 'billing', leaseNamespace: 'default' })],
    controllers: [Routes],
  })
    .overrideProvider(getElectorToken())
    .useValue(elector)
    .compile();
  const app = module.createNestApplication(adapter, { logger: false });
  onTestFinished(() => app.close());
  await app.listen(0, '127.0.0.1');
  return app.getUrl();
}
