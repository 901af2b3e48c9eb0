import { Injectable, Scope, SetMetadata } from '@nestjs/common';
import { Observable, Subject, lastValueFrom, of, toArray } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { OnlyWhenLeader, currentTerm, isLeaderError, type LeadershipTerm } from '../../lib/index.js';
import { runInFakeTerm } from '../../lib/testing.js';
import { applicationOf } from './application.js';

const Tagged = (): MethodDecorator => SetMetadata('tag', 'kept');

@Injectable()
class Work {
  ran = 0;
  readonly gate = new Subject<number>();
  helperRan = 0;

  @OnlyWhenLeader()
  plain(amount: number): number {
    this.ran += amount;
    return this.ran;
  }

  @OnlyWhenLeader()
  async promised(): Promise<bigint> {
    await Promise.resolve();
    return currentTerm().fencingToken;
  }

  @OnlyWhenLeader()
  observed(): Observable<bigint> {
    return new Observable((subscriber) => {
      subscriber.next(currentTerm().fencingToken);
      const inner = this.gate.subscribe(() => {
        subscriber.next(0n);
      });
      return () => {
        inner.unsubscribe();
      };
    });
  }

  @OnlyWhenLeader()
  async *generated(): AsyncGenerator<bigint> {
    for (;;) {
      await Promise.resolve();
      yield currentTerm().fencingToken;
    }
  }

  @OnlyWhenLeader({ otherwise: 'skip' })
  skipped(): string {
    return 'ran';
  }

  @OnlyWhenLeader({
    otherwise: ({ method, args, identity }) => `${method}(${args.join()}) refused in ${identity}`,
  })
  answered(_first: number, _second: number): string {
    return 'ran';
  }

  @OnlyWhenLeader()
  fails(): never {
    throw new Error('its own');
  }

  @Tagged()
  @OnlyWhenLeader()
  below(_a: unknown, _b: unknown): void {
    this.helperRan += 1;
  }

  @OnlyWhenLeader()
  @Tagged()
  above(_a: unknown, _b: unknown): void {
    this.helperRan += 1;
  }
}

describe('a gated method while this process follows', () => {
  it('fails with a named error: thrown when sync, a rejection when async', async () => {
    const { app } = await applicationOf(Work);
    const work = app.get(Work);
    expect(() => work.plain(1)).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
    const promised = work.promised();
    await expect(promised).rejects.toMatchObject({ code: 'LEADER_NOT_LEADER', leaseName: 'default' });
    expect(work.ran).toBe(0);
    await app.close();
  });

  it('does what `otherwise` says', async () => {
    const { app } = await applicationOf(Work);
    const work = app.get(Work);
    expect(work.skipped()).toBeUndefined();
    expect(work.answered(1, 2)).toBe('answered(1,2) refused in me');
    await app.close();
  });
});

describe('a gated method while this process leads', () => {
  it('runs with its arguments and its instance, in the term', async () => {
    const { app, elector } = await applicationOf(Work);
    const work = app.get(Work);
    elector.grant({ fencingToken: 7n });
    expect([work.plain(2), work.plain(3)]).toEqual([2, 5]);
    expect(await work.promised()).toBe(7n);
    expect(work.answered(1, 2)).toBe('ran');
    await app.close();
  });

  it('throws what the method throws', async () => {
    const { app, elector } = await applicationOf(Work);
    elector.grant();
    expect(() => app.get(Work).fails()).toThrow('its own');
    await app.close();
  });

  it('keeps name, arity and metadata, above and below other decorators', async () => {
    const { app, elector } = await applicationOf(Work);
    const work = app.get(Work);
    for (const method of [work.above, work.below]) {
      expect(Reflect.getMetadata('tag', method)).toBe('kept');
      expect(method.length).toBe(2);
    }
    expect([work.above.name, work.below.name]).toEqual(['above', 'below']);
    expect(() => {
      work.above(1, 2);
    }).toThrow();
    expect(() => {
      work.below(1, 2);
    }).toThrow();
    elector.grant();
    work.above(1, 2);
    work.below(1, 2);
    expect(work.helperRan).toBe(2);
    await app.close();
  });
});

describe('results that outlast the call', () => {
  it('an observable is subscribed in the term, and ends with its error when the term does', async () => {
    const { app, elector } = await applicationOf(Work);
    const work = app.get(Work);
    elector.grant({ fencingToken: 3n });
    const seen: unknown[] = [];
    work
      .observed()
      .subscribe({ next: (value) => seen.push(value), error: (error: unknown) => seen.push(error) });
    work.gate.next(1);
    expect(seen).toEqual([3n, 0n]);
    elector.revoke('deadline');
    expect(seen[2]).toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'deadline' });
    expect(work.gate.observed).toBe(false);
    await app.close();
  });

  it('an observable that is subscribed to after the term fails with the error of the term and never runs', async () => {
    const { app, elector } = await applicationOf(Work);
    const work = app.get(Work);
    elector.grant();
    const late = work.observed();
    elector.revoke('superseded');
    await expect(lastValueFrom(late.pipe(toArray()))).rejects.toMatchObject({ reason: 'superseded' });
    await app.close();
  });

  it('an async generator runs each step in the term, and ends with its error when the term does', async () => {
    const { app, elector } = await applicationOf(Work);
    const work = app.get(Work);
    elector.grant({ fencingToken: 4n });
    const seen: bigint[] = [];
    let error: unknown;
    try {
      for await (const token of work.generated()) {
        seen.push(token);
        if (seen.length === 3) elector.revoke('deadline');
      }
    } catch (thrown) {
      error = thrown;
    }
    expect(seen).toEqual([4n, 4n, 4n]);
    expect(error).toMatchObject({ code: 'LEADER_TERM_OVER' });
    await app.close();
  });

  it('a promise is counted until it has settled: a hand-over waits for it', async () => {
    let end: () => void = () => undefined;
    const until = new Promise<void>((resolve) => {
      end = resolve;
    });
    @Injectable()
    class Slow {
      @OnlyWhenLeader()
      async run(): Promise<void> {
        await until;
      }
    }
    const { app, elector } = await applicationOf(Slow);
    elector.grant();
    const running = app.get(Slow).run();
    const order: string[] = [];
    const handover = elector.stepDown().then(() => order.push('handed over'));
    void running.then(() => order.push('work ended'));
    expect(elector.state.kind).toBe('handingOver');
    end();
    await handover;
    expect(order).toEqual(['work ended', 'handed over']);
    await app.close();
  });

  it('an observable is counted while it is subscribed to, and a hand-over ends it', async () => {
    const { app, elector } = await applicationOf(Work);
    elector.grant();
    const errors: unknown[] = [];
    app
      .get(Work)
      .observed()
      .subscribe({ error: (error: unknown) => errors.push(error) });
    await elector.stepDown();
    expect(errors).toMatchObject([{ code: 'LEADER_TERM_OVER', reason: 'steppedDown' }]);
    await app.close();
  });
});

describe('the term', () => {
  it('is over for work that a gate let in, at once when the lease is lost', async () => {
    let term: LeadershipTerm | undefined;
    @Injectable()
    class Keeps {
      @OnlyWhenLeader()
      start(): void {
        term = currentTerm();
      }
    }
    const { app, elector } = await applicationOf(Keeps);
    elector.grant();
    app.get(Keeps).start();
    expect(term?.isOver).toBe(false);
    elector.revoke('deadline');
    expect(term?.isOver).toBe(true);
    await app.close();
  });

  it('does not exist outside gated work', () => {
    expect(() => currentTerm()).toThrow(expect.objectContaining({ code: 'LEADER_NO_CURRENT_TERM' }));
  });
});

describe('classes', () => {
  const Handler = (): MethodDecorator => SetMetadata('handler', true);

  it('a decorator on a class gates the methods with metadata, and no others', async () => {
    @Injectable()
    @OnlyWhenLeader({ otherwise: 'skip' })
    class Whole {
      started = false;
      onModuleInit(): void {
        this.started = true;
      }
      helper(): string {
        return 'free';
      }
      @Handler()
      handle(): string {
        return 'gated';
      }
    }
    const { app, elector } = await applicationOf(Whole);
    const whole = app.get(Whole);
    expect([whole.started, whole.helper(), whole.handle()]).toEqual([true, 'free', undefined]);
    elector.grant();
    expect(whole.handle()).toBe('gated');
    await app.close();
  });

  it('a gate is inherited, also by a class with injected properties of its own', async () => {
    @Injectable()
    class Base {
      @OnlyWhenLeader({ otherwise: 'skip' })
      work(): string {
        return 'done';
      }
    }
    @Injectable()
    class Derived extends Base {
      @OnlyWhenLeader({ otherwise: 'skip' })
      more(): string {
        return this.work();
      }
    }
    const { app, elector } = await applicationOf(Derived);
    expect(app.get(Derived).more()).toBeUndefined();
    elector.grant();
    expect(app.get(Derived).more()).toBe('done');
    await app.close();
  });

  it('a gate works in request-scoped providers', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @OnlyWhenLeader({ otherwise: 'skip' })
      work(): string {
        return 'done';
      }
    }
    const { app, elector } = await applicationOf(PerRequest);
    const instance = await app.resolve(PerRequest);
    expect(instance.work()).toBeUndefined();
    elector.grant();
    expect(instance.work()).toBe('done');
    await app.close();
  });

  it('a class has its election injected once, however many methods, hooks and base classes need it', () => {
    class Base {
      @OnlyWhenLeader()
      one(): string {
        return 'done';
      }
      @OnlyWhenLeader()
      two(): string {
        return 'done';
      }
    }
    class Derived extends Base {
      @OnlyWhenLeader()
      three(): string {
        return 'done';
      }
      @OnlyWhenLeader({ election: 'billing' })
      four(): string {
        return 'done';
      }
    }
    const injected = (owner: object): unknown[] =>
      Reflect.getMetadata('self:properties_metadata', owner) as unknown[];
    expect([injected(Base).length, injected(Derived).length]).toEqual([1, 2]);
  });
});

describe('without Nest', () => {
  it('a call on an instance created with new names what is missing', () => {
    let error: unknown;
    try {
      new Work().plain(1);
    } catch (thrown) {
      error = thrown;
    }
    expect(isLeaderError(error, 'LEADER_MODULE_MISSING')).toBe(true);
  });

  it('runInFakeTerm lets it run, with a token, and the term ends with it', async () => {
    const work = new Work();
    expect(runInFakeTerm({ fencingToken: 5 }, () => work.plain(2))).toBe(2);
    expect(await runInFakeTerm({ fencingToken: 6 }, () => work.promised())).toBe(6n);
    let kept: LeadershipTerm | undefined;
    runInFakeTerm({}, ({ term }) => {
      kept = term;
    });
    expect(kept?.isOver).toBe(true);
  });

  it('a fake term can be ended in the middle', () => {
    const error = runInFakeTerm({}, ({ end }) => {
      end('superseded');
      try {
        currentTerm().throwIfOver();
        return undefined;
      } catch (thrown) {
        return thrown;
      }
    });
    expect(error).toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'superseded' });
  });
});

it('a decorator on a property that is not a method throws', () => {
  expect(() => {
    OnlyWhenLeader()({}, 'field', undefined as never);
  }).toThrow('it is not a method');
  expect(of(1)).toBeInstanceOf(Observable);
});
