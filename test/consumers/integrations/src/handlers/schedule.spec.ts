/** Jobs of @nestjs/schedule, those made while the application runs included. */
import { Injectable } from '@nestjs/common';
import { Cron, Interval, ScheduleModule, SchedulerRegistry, Timeout } from '@nestjs/schedule';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { application } from './application.js';

@Injectable()
class Jobs {
  readonly ran: string[] = [];

  @Cron('* * * * * *', { name: 'cron' })
  @OnlyWhenLeader()
  cron(): void {
    this.ran.push(`cron ${currentTerm().fencingToken}`);
  }

  @OnlyWhenLeader()
  @Interval('interval', 1_000)
  async interval(): Promise<void> {
    this.ran.push('interval');
  }

  @Timeout('above', 100)
  @OnlyWhenLeader()
  timeout(): void {
    this.ran.push('timeout');
  }

  @OnlyWhenLeader()
  @Timeout('below', 100)
  timeoutBelow(): void {
    this.ran.push('timeoutBelow');
  }

  @OnlyWhenLeader({ otherwise: 'skip' })
  byHand(): void {
    this.ran.push('byHand');
  }
}

@OnlyWhenLeader()
@Injectable()
class WholeClass {
  ran = 0;

  @Interval('whole', 1_000)
  count(): void {
    this.ran += 1;
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'Date'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

const imports = [ScheduleModule.forRoot()];

it('cron and interval jobs are skipped while following, and run while leading', async () => {
  const { app, elector, errors } = await application({ imports, providers: [Jobs, WholeClass] });
  const [jobs, whole] = [app.get(Jobs), app.get(WholeClass)];
  await vi.advanceTimersByTimeAsync(5_000);
  expect([jobs.ran, whole.ran]).toEqual([[], 0]);
  elector.grant({ fencingToken: 9n });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(jobs.ran).toEqual(expect.arrayContaining(['cron 9', 'interval']));
  expect(whole.ran).toBe(2);
  elector.revoke();
  jobs.ran.length = 0;
  await vi.advanceTimersByTimeAsync(5_000);
  expect([jobs.ran, whole.ran, errors]).toEqual([[], 2, []]);
});

it('a timeout job waits until this process leads, and runs once', async () => {
  const { app, elector } = await application({ imports, providers: [Jobs] });
  const timeouts = (): string[] => app.get(Jobs).ran.filter((ran) => ran.startsWith('timeout'));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(timeouts()).toEqual([]);
  elector.grant();
  await vi.advanceTimersByTimeAsync(0);
  elector.revoke();
  elector.grant();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(timeouts().sort()).toEqual(['timeout', 'timeoutBelow']);
});

it('jobs that are put into the registry by hand call a gated method', async () => {
  const { app, elector } = await application({ imports, providers: [Jobs] });
  const [jobs, registry] = [app.get(Jobs), app.get(SchedulerRegistry)];
  registry.deleteCronJob('cron');
  registry.deleteInterval('interval');
  registry.addInterval(
    'mine',
    setInterval(() => jobs.byHand(), 1_000),
  );
  registry.addTimeout(
    'once',
    // The timers are vitest's: nothing waits.
    setTimeout(() => jobs.byHand(), 5_500),
  );
  await vi.advanceTimersByTimeAsync(4_000);
  expect(jobs.ran).toEqual([]);
  elector.grant();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(jobs.ran.filter((ran) => ran === 'byHand')).toHaveLength(3);
});

it('a cron job that is fired by hand is gated as well', async () => {
  const { app, elector } = await application({ imports, providers: [Jobs] });
  const job = app.get(SchedulerRegistry).getCronJob('cron');
  await job.fireOnTick();
  elector.grant({ fencingToken: 3n });
  await job.fireOnTick();
  expect(app.get(Jobs).ran).toEqual(['cron 3']);
});
