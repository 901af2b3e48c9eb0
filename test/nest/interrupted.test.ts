/** Work that stops because its term has ended is distinguished from work that failed. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Controller, Get, Logger, type INestApplication } from '@nestjs/common';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { Cron, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OnlyWhenLeader, currentTerm, isTermOver, type LeadershipTerm } from '../../lib/index.js';
import { runInFakeTerm } from '../../lib/testing.js';
import { applicationWith, type Tested } from './application.js';

/** Looks when the term is over. */
const looks = async (term: LeadershipTerm): Promise<void> => {
  await once(term.signal, 'abort');
  term.throwIfOver();
};
/** Throws an AbortError, whose cause is the term's own error. */
const waits = ({ signal }: LeadershipTerm): Promise<unknown> => pause(60_000, undefined, { signal });
/** Throws an AbortError that does not say why. */
const dropsTheReason = async ({ signal }: LeadershipTerm): Promise<void> => {
  await once(signal, 'abort');
  throw Object.assign(new Error('aborted'), { name: 'AbortError' });
};
const ways = [
  ['that looks', looks],
  ['in an operation with its signal', waits],
  ['in an operation that drops the reason', dropsTheReason],
] as const;

@Controller()
class Work {
  static started = false;
  /** What runs in the middle of each handler. */
  static stops: (term: LeadershipTerm) => Promise<unknown> = looks;

  @Cron('0 0 1 1 *', { name: 'yearly' })
  @OnlyWhenLeader()
  async yearly(): Promise<void> {
    await this.#stopsInTheMiddle();
  }

  @OnEvent('told')
  @OnlyWhenLeader()
  async told(): Promise<void> {
    await this.#stopsInTheMiddle();
  }

  @Get('work')
  @OnlyWhenLeader()
  async route(): Promise<string> {
    await this.#stopsInTheMiddle();
    return 'done';
  }

  @OnlyWhenLeader()
  async plain(): Promise<void> {
    await this.#stopsInTheMiddle();
  }

  async #stopsInTheMiddle(): Promise<void> {
    const told = Work.stops(currentTerm());
    Work.started = true;
    await told;
  }
}

let tested: Tested | undefined;
afterEach(async () => {
  await tested?.app.close();
  tested = undefined;
  Work.started = false;
  Work.stops = looks;
  vi.restoreAllMocks();
});

async function leading(): Promise<Tested & { errors: unknown[] }> {
  const errors: unknown[] = [];
  vi.spyOn(Logger.prototype, 'error').mockImplementation((...told: unknown[]) => {
    errors.push(told);
  });
  tested = await applicationWith({
    imports: [ScheduleModule.forRoot(), EventEmitterModule.forRoot()],
    controllers: [Work],
  });
  tested.elector.grant();
  return { ...tested, errors };
}

function lose({ elector }: Tested): void {
  elector.revoke('deadline');
}

describe.each(ways)('work %s', (_, stops) => {
  beforeEach(() => {
    Work.stops = stops;
  });

  it.each<[string, (app: INestApplication) => unknown]>([
    ['a cron job', (app) => app.get(SchedulerRegistry).getCronJob('yearly').fireOnTick()],
    ['an event listener', (app) => app.get(EventEmitter2).emitAsync('told')],
  ])('%s: no error is reported', async (_, start) => {
    const { app, errors, ...rest } = await leading();
    const running = start(app);
    await vi.waitUntil(() => Work.started);
    lose({ app, ...rest });
    await running;
    // cron does not wait for the job it starts.
    await new Promise(setImmediate);
    expect(errors).toEqual([]);
  });

  it('a route answers 503', async () => {
    const { app, errors, ...rest } = await leading();
    await app.listen(0, '127.0.0.1');
    const answer = fetch(`${await app.getUrl()}/work`);
    await vi.waitUntil(() => Work.started);
    lose({ app, ...rest });
    expect((await answer).status).toBe(503);
    expect(errors).toEqual([]);
  });

  it('any other method fails with it', async () => {
    const { app, ...rest } = await leading();
    const running = app.get(Work).plain();
    lose({ app, ...rest });
    const error: unknown = await running.catch((thrown: unknown) => thrown);
    expect(isTermOver(error)).toBe(stops !== dropsTheReason);
  });

  it('in a unit test the work has begun when the call returns', async () => {
    await runInFakeTerm({}, async ({ end }) => {
      const running = new Work().plain();
      end('deadline');
      await expect(running).rejects.toThrow();
    });
  });
});
