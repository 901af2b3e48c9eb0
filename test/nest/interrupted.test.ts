/** Work that stops because its term has ended: told apart from work that failed. */
import { Controller, Get, Logger, type INestApplication } from '@nestjs/common';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { Cron, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { OnlyWhenLeader, currentTerm } from '../../lib/index.js';
import { runInFakeTerm } from '../../lib/testing.js';
import { applicationWith, type Tested } from './application.js';

@Controller()
class Work {
  static goOn: (() => void) | undefined;

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
    await new Promise<void>((resolve) => {
      Work.goOn = resolve;
    });
    currentTerm().throwIfOver();
  }
}

let tested: Tested | undefined;
afterEach(async () => {
  await tested?.app.close();
  tested = undefined;
  Work.goOn = undefined;
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
  Work.goOn?.();
}

describe('work that stops with the error of its term', () => {
  it.each<[string, (app: INestApplication) => unknown]>([
    ['a cron job', (app) => app.get(SchedulerRegistry).getCronJob('yearly').fireOnTick()],
    ['an event listener', (app) => app.get(EventEmitter2).emitAsync('told')],
  ])('%s: nobody is told of an error', async (_, start) => {
    const { app, errors, ...rest } = await leading();
    const running = start(app);
    await vi.waitUntil(() => Work.goOn !== undefined);
    lose({ app, ...rest });
    await running;
    expect(errors).toEqual([]);
  });

  it('a route answers 503', async () => {
    const { app, errors, ...rest } = await leading();
    await app.listen(0, '127.0.0.1');
    const answer = fetch(`${await app.getUrl()}/work`);
    await vi.waitUntil(() => Work.goOn !== undefined);
    lose({ app, ...rest });
    expect((await answer).status).toBe(503);
    expect(errors).toEqual([]);
  });

  it('any other method fails with it', async () => {
    const { app, ...rest } = await leading();
    const running = app.get(Work).plain();
    lose({ app, ...rest });
    await expect(running).rejects.toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'deadline' });
  });

  it('in a unit test it has begun when the call returns', async () => {
    await runInFakeTerm({}, async ({ end }) => {
      const running = new Work().plain();
      end('deadline');
      Work.goOn?.();
      await expect(running).rejects.toMatchObject({ code: 'LEADER_TERM_OVER' });
    });
  });
});
