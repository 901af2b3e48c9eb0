/** A hand-over waits for each gated call until it has ended, whatever its result is, and no longer. */
import { Injectable } from '@nestjs/common';
import { Observable, Subject } from 'rxjs';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { LeaderService, OnlyWhenLeader, currentTerm } from '../../lib/index.js';
import { applicationOf } from './application.js';

/** What `@EventPattern` and `@MessagePattern` of @nestjs/microservices leave on a function. */
const Pattern =
  (handlerType: number): MethodDecorator =>
  (_target, _key, descriptor) => {
    Reflect.defineMetadata('microservices:handler_type', handlerType, descriptor.value as object);
  };

@Injectable()
class Work {
  readonly stream = new PassThrough();
  readonly source = new Subject<number>();
  cleanedIn: bigint | undefined;

  @OnlyWhenLeader()
  throws(): never {
    throw new Error('its own');
  }

  @OnlyWhenLeader()
  async rejects(): Promise<never> {
    await Promise.resolve();
    throw new Error('its own');
  }

  @OnlyWhenLeader()
  async promisesObservable(): Promise<Observable<number>> {
    await Promise.resolve();
    return this.source;
  }

  /** Begins when it is waited for, as queries of Knex, Mongoose and Prisma do. */
  @OnlyWhenLeader()
  query(): PromiseLike<bigint> {
    const begin = async (): Promise<bigint> => Promise.resolve(currentTerm().fencingToken);
    return { then: (...told) => begin().then(...told) };
  }

  @OnlyWhenLeader()
  streams(): PassThrough {
    return this.stream;
  }

  @OnlyWhenLeader()
  async *generates(): AsyncGenerator<number> {
    try {
      for (let n = 0; ; n += 1) {
        await Promise.resolve();
        yield n;
      }
    } finally {
      this.cleanedIn = currentTerm().fencingToken;
    }
  }

  opened = 0;

  /** Begins when its reader does, as a cursor may. */
  @OnlyWhenLeader()
  cursor(): AsyncIterable<bigint> {
    return Object.freeze({
      [Symbol.asyncIterator]: () => {
        this.opened += 1;
        const token = currentTerm().fencingToken;
        return (async function* () {
          yield await Promise.resolve(token);
        })();
      },
    });
  }

  @OnlyWhenLeader()
  brokenQuery(): PromiseLike<never> {
    const broken = (): never => {
      throw new Error('its own');
    };
    return { then: broken };
  }

  @OnlyWhenLeader()
  *counts(): Generator<bigint> {
    try {
      for (;;) yield currentTerm().fencingToken;
    } finally {
      this.cleanedIn = currentTerm().fencingToken;
    }
  }

  @Pattern(2)
  @OnlyWhenLeader()
  onEvent(): string {
    return 'heard';
  }

  @Pattern(1)
  @OnlyWhenLeader()
  onMessage(): unknown {
    return 'answered';
  }
}

async function all(rows: AsyncIterable<unknown>): Promise<unknown[]> {
  const read: unknown[] = [];
  for await (const row of rows) read.push(row);
  return read;
}

it('a call that throws has ended', async () => {
  const { app, elector } = await applicationOf(Work);
  elector.grant();
  expect(() => app.get(Work).throws()).toThrow('its own');
  await elector.stepDown();
  await app.close();
});

it('a call that rejects has ended', async () => {
  const { app, elector } = await applicationOf(Work);
  elector.grant();
  await expect(app.get(Work).rejects()).rejects.toThrow('its own');
  await elector.stepDown();
  await app.close();
});

it('an observable that a promise resolves with is part of the call', async () => {
  const { app, elector } = await applicationOf(Work);
  const work = app.get(Work);
  elector.grant();
  const seen: unknown[] = [];
  (await work.promisesObservable()).subscribe({
    next: (value) => seen.push(value),
    error: (error: unknown) => seen.push(error),
  });
  work.source.next(1);
  await elector.stepDown();
  expect(seen).toMatchObject([1, { code: 'LEADER_TERM_OVER', reason: 'steppedDown' }]);
  await app.close();
});

it('a query that begins when it is awaited runs in the term', async () => {
  const { app, elector } = await applicationOf(Work);
  elector.grant({ fencingToken: 7n });
  expect(await app.get(Work).query()).toBe(7n);
  await app.close();
});

it('a stream is counted until it has closed', async () => {
  const { app, elector } = await applicationOf(Work);
  const { stream } = app.get(Work);
  elector.grant();
  expect(app.get(Work).streams()).toBe(stream);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.resume().end('the last');
  await closed;
  await elector.stepDown();
  expect(stream.errored).toBe(null);
  await app.close();
});

it("a stream is destroyed with the term's error when the term ends", async () => {
  const { app, elector } = await applicationOf(Work);
  const { stream } = app.get(Work);
  elector.grant();
  app.get(Work).streams();
  const failed = new Promise((resolve) => stream.once('error', resolve));
  await elector.stepDown();
  expect(await failed).toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'steppedDown' });
  await app.close();
});

it("a generator's finally runs, in its term, before a hand-over has ended", async () => {
  const { app, elector } = await applicationOf(Work);
  const work = app.get(Work);
  elector.grant({ fencingToken: 6n });
  const reading = (async () => {
    for await (const n of work.generates()) if (n === 1) void elector.stepDown();
  })();
  await expect(reading).rejects.toMatchObject({ code: 'LEADER_TERM_OVER' });
  expect(work.cleanedIn).toBe(6n);
  await app.close();
});

it('an iterable begins in the term, or not at all', async () => {
  const { app, elector } = await applicationOf(Work);
  const work = app.get(Work);
  elector.grant({ fencingToken: 7n });
  const [begun, late] = [work.cursor(), work.cursor()];
  expect(await all(begun)).toEqual([7n]);
  elector.revoke();
  await expect(all(late)).rejects.toMatchObject({ code: 'LEADER_TERM_OVER' });
  expect(work.opened).toBe(1);
  await app.close();
});

it('a query that cannot begin has ended', async () => {
  const { app, elector } = await applicationOf(Work);
  elector.grant();
  expect(() => app.get(Work).brokenQuery()).toThrow('its own');
  await app.get(LeaderService).stepDown();
  expect(elector.state.kind).toBe('following');
  await app.close();
});

it('a generator that is not async runs in its term, and no step after it', async () => {
  const { app, elector } = await applicationOf(Work);
  const work = app.get(Work);
  expect(() => work.counts()).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
  elector.grant({ fencingToken: 7n });
  const [begun, untouched] = [work.counts(), work.counts()];
  expect(begun.next()).toEqual({ done: false, value: 7n });
  elector.revoke();
  expect(() => begun.next()).toThrow(expect.objectContaining({ code: 'LEADER_TERM_OVER' }));
  expect(work.cleanedIn).toBe(7n);
  expect(() => [...untouched]).toThrow(expect.objectContaining({ code: 'LEADER_TERM_OVER' }));
  elector.grant({ fencingToken: 8n });
  for (const token of work.counts()) {
    expect(token).toBe(8n);
    break;
  }
  expect(work.cleanedIn).toBe(8n);
  await app.close();
});

it('a generator whose reader returns has ended', async () => {
  const { app, elector } = await applicationOf(Work);
  const work = app.get(Work);
  elector.grant();
  for await (const n of work.generates()) if (n === 1) break;
  expect(work.cleanedIn).toBeDefined();
  await elector.stepDown();
  await app.close();
});

it('at the end of the term an iterator that waits for its next value is told to return, and its reader gets the error at once', async () => {
  let wake: (result: IteratorResult<number>) => void = () => undefined;
  let returned = 0;
  const iterator: AsyncIterator<number> = {
    next: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
    return: () => {
      returned += 1;
      wake({ done: true, value: undefined });
      return Promise.resolve({ done: true, value: undefined });
    },
  };
  @Injectable()
  class Subscriptions {
    @OnlyWhenLeader()
    subscribe(): AsyncIterable<number> {
      return { [Symbol.asyncIterator]: () => iterator };
    }
  }
  const { app, elector } = await applicationOf(Subscriptions);
  elector.grant();
  const next = app.get(Subscriptions).subscribe()[Symbol.asyncIterator]().next();
  const handedOver = elector.stepDown();
  await expect(next).rejects.toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'steppedDown' });
  await handedOver;
  expect(returned).toBe(1);
  await app.close();
});

it('a hand-over waits for a generator that ignores the signal; its reader does not wait', async () => {
  let goOn: () => void = () => undefined;
  const order: string[] = [];
  @Injectable()
  class Deaf {
    @OnlyWhenLeader()
    async *rows(): AsyncGenerator<number> {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      order.push('generator');
      yield 1;
    }
  }
  const { app, elector } = await applicationOf(Deaf);
  elector.grant();
  const next = app.get(Deaf).rows().next();
  const handedOver = elector.stepDown().then(() => order.push('handed over'));
  await expect(next).rejects.toMatchObject({ code: 'LEADER_TERM_OVER' });
  order.push('reader');
  goOn();
  await handedOver;
  expect(order).toEqual(['reader', 'generator', 'handed over']);
  await app.close();
});

it('a refused async generator throws, because a promise cannot be iterated over', async () => {
  const { app } = await applicationOf(Work);
  expect(() => app.get(Work).generates()).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
  await app.close();
});

it('an event of a microservice is skipped while following, a message is refused', async () => {
  const { app, elector } = await applicationOf(Work);
  const work = app.get(Work);
  expect(work.onEvent()).toBeUndefined();
  // Without @nestjs/microservices there is no RpcException to say it with.
  await expect(work.onMessage()).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER' });
  elector.grant();
  expect([work.onEvent(), work.onMessage()]).toEqual(['heard', 'answered']);
  await app.close();
});

it('runAsLeader does not run its task in a term that is already over', async () => {
  const { app, elector } = await applicationOf();
  const tokens: bigint[] = [];
  const result = app.get(LeaderService).runAsLeader((term) => {
    tokens.push(term.fencingToken);
    return 'done';
  });
  elector.grant({ fencingToken: 1n });
  elector.revoke('deadline');
  await Promise.resolve();
  elector.grant({ fencingToken: 2n });
  expect(await result).toBe('done');
  expect(tokens).toEqual([2n]);
  await app.close();
});

it("the signal of runAsLeader's task fires when its term is lost, and the result of the task is returned", async () => {
  const { app, elector } = await applicationOf();
  elector.grant();
  const result = app.get(LeaderService).runAsLeader(
    (term) =>
      new Promise((resolve) => {
        term.signal.addEventListener('abort', () => {
          resolve(term.signal.reason);
        });
        elector.revoke('superseded', 'other');
      }),
  );
  expect(await result).toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'superseded' });
  await app.close();
});
