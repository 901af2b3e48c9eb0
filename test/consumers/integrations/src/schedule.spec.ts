/** Jobs that are made while the application runs, through the registry of @nestjs/schedule. */
import { Injectable } from '@nestjs/common';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { OnlyWhenLeader, currentTerm, getElectorToken } from 'nestjs-leader';
import { LeaderElectionTestingModule, type ScriptedElector } from 'nestjs-leader/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

@Injectable()
class Reports {
  readonly sent: string[] = [];

  @OnlyWhenLeader({ otherwise: 'skip' })
  send(): void {
    this.sent.push(currentTerm().fencingToken.toString());
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

it('an interval of the registry calls a gated method: skipped while following, run while leading', async () => {
  const module = await Test.createTestingModule({
    imports: [ScheduleModule.forRoot(), LeaderElectionTestingModule.forRoot()],
    providers: [Reports],
  }).compile();
  await module.init();
  const reports = module.get(Reports);
  const elector = module.get<ScriptedElector>(getElectorToken());
  module.get(SchedulerRegistry).addInterval(
    'reports',
    setInterval(() => {
      reports.send();
    }, 1_000),
  );

  await vi.advanceTimersByTimeAsync(3_000);
  expect(reports.sent).toEqual([]);
  elector.grant({ fencingToken: 7n });
  await vi.advanceTimersByTimeAsync(2_000);
  expect(reports.sent).toEqual(['7', '7']);
  await module.close();
});
