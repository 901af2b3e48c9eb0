/** Leadership is a certainty, not a memory (docs/guarantees.md, G2 and G5): a term that ran out is over before any event says so. */
import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import {
  TermOverError,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type LeadershipTerm,
  type WallMs,
} from '../../lib/election/index.js';
import {
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  OnlyWhenLeader,
  getElectorToken,
} from '../../lib/index.js';

const MINUTE = 60_000;

/** A term whose validity runs out without an event, as with a blocked event loop. */
class SilentTerm implements LeadershipTerm {
  readonly leaseName = 'x';
  readonly identity = 'me';
  readonly fencingToken = 1n;
  readonly slot = 0;
  readonly startedAt = Date.now() as WallMs;
  readonly signal = new AbortController().signal;
  renewedAt = this.startedAt;
  isOver = false;
  remaining(): number {
    return this.isOver ? 0 : 1_000;
  }
  throwIfOver(): void {
    if (this.isOver) throw new TermOverError('x', 'deadline');
  }
  confirm(): Promise<void> {
    return Promise.resolve();
  }
  race<T>(operation: PromiseLike<T>): Promise<T> {
    return Promise.resolve(operation);
  }
  enter(): () => void {
    this.throwIfOver();
    return () => undefined;
  }
  toJSON(): Record<string, unknown> {
    return {};
  }
}

class SilentElector implements Elector {
  readonly leaseName = 'x';
  readonly identity = 'me';
  readonly term = new SilentTerm();
  readonly state: ElectorState = { kind: 'leading', term: this.term, error: undefined };
  run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    observer({ type: 'stateChanged', state: this.state });
    observer({ type: 'startedLeading', term: this.term });
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
  }
  stepDown(): Promise<void> {
    return Promise.resolve();
  }
}

@Injectable()
class Work {
  ran = 0;
  @OnlyWhenLeader()
  run(): void {
    this.ran += 1;
  }
}

async function application() {
  const elector = new SilentElector();
  const module = await Test.createTestingModule({
    imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y', leaseDuration: 15_000 })],
    providers: [Work],
  })
    .overrideProvider(getElectorToken())
    .useValue(elector)
    .compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  return { app, term: elector.term };
}

it('isLeader, term and the gate look at the term itself', async () => {
  const { app, term } = await application();
  const leader = app.get(LeaderService);
  const work = app.get(Work);
  work.run();
  expect([leader.isLeader(), leader.term, work.ran]).toEqual([true, term, 1]);
  term.isOver = true;
  expect([leader.isLeader(), leader.term]).toEqual([false, undefined]);
  expect(() => {
    work.run();
  }).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
  expect(work.ran).toBe(1);
  await app.close();
});

it('a leader that has not renewed for longer than its lease and the tolerance is down', async () => {
  const { app, term } = await application();
  const health = app.get(LeaderHealthIndicator);
  const statusAfter = (ms: number, maxTolerableExpiredLease?: number): string => {
    term.renewedAt = (Date.now() - ms) as WallMs;
    const options = maxTolerableExpiredLease === undefined ? {} : { maxTolerableExpiredLease };
    return health.isHealthy('leader', options).leader.status;
  };
  expect(statusAfter(0)).toBe('up');
  expect(statusAfter(MINUTE)).toBe('down');
  expect(statusAfter(MINUTE, 10 * MINUTE)).toBe('up');
  expect(statusAfter(20 * MINUTE, 10 * MINUTE)).toBe('down');
  expect(health.isHealthy('leader', { maxTolerableExpiredLease: 0 }).leader.message).toContain(
    'last renewed',
  );
  await app.close();
});
