/** Applications with a metrics registry, and what their gates report to it. */
import { Controller, Get, Header, Injectable, Logger, Module, type INestApplication } from '@nestjs/common';
import { OnEvent } from '@nestjs/event-emitter';
import { Timeout } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MetricsProvider } from '../../lib/election/index.js';
import { LeaderElectionModule, LeaderService, OnlyWhenLeader, getLeaderToken } from '../../lib/index.js';
import { prometheusMetrics } from '../../lib/metrics/prometheus.js';
import { LeaderElectionTestingModule, LeaseApiServer, ScriptedElector } from '../../lib/testing.js';
import { scrape, type Figures } from '../metrics/candidate-with-meter.js';

const apps: INestApplication[] = [];
let register = new Registry();

beforeEach(() => {
  register = new Registry();
  vi.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  vi.restoreAllMocks();
});

@Injectable()
class Work {
  @OnlyWhenLeader()
  plain(): void {
    // Does nothing.
  }

  @OnlyWhenLeader({ otherwise: 'skip' })
  skipped(): void {
    // Does nothing.
  }

  @OnlyWhenLeader({ otherwise: () => 'else' })
  answered(): string {
    return 'done';
  }

  @OnEvent('x')
  @OnlyWhenLeader()
  onEvent(): void {
    // Does nothing.
  }

  @Timeout(1)
  @OnlyWhenLeader()
  onTimeout(): Promise<string> {
    return Promise.resolve('done');
  }
}

async function scripted(metrics: MetricsProvider) {
  const module = await Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot({ metrics })],
    providers: [Work],
  }).compile();
  const app = module.createNestApplication({ logger: false });
  apps.push(app);
  await app.init();
  return { app, elector: app.get(ScriptedElector), work: app.get(Work), leader: app.get(LeaderService) };
}

/** The counts of gated calls, by outcome. */
async function calls(): Promise<Figures> {
  const all = Object.entries(await scrape(register));
  const pattern = /^gated_calls_total\{.*outcome="(\w+)"\}$/;
  return Object.fromEntries(
    all.flatMap(([series, value]) => {
      const outcome = pattern.exec(series)?.[1];
      return outcome === undefined ? [] : [[outcome, value]];
    }),
  );
}

describe('calls of gated methods are counted by outcome', () => {
  it('while another leads', async () => {
    const { work } = await scripted(prometheusMetrics(register));
    expect(() => {
      work.plain();
    }).toThrow();
    work.skipped();
    work.onEvent();
    work.answered();
    void work.onTimeout();
    expect(await calls()).toEqual({ rejected: 1, skipped: 2, answered: 1, deferred: 1 });
  });

  it('while this process leads', async () => {
    const { work, elector } = await scripted(prometheusMetrics(register));
    const deferred = work.onTimeout();
    elector.grant();
    await deferred;
    work.plain();
    work.skipped();
    expect(await calls()).toEqual({ deferred: 1, run: 3 });
  });

  it('a meter that throws ends no call, and is reported once', async () => {
    const asked: string[] = [];
    const metrics: MetricsProvider = {
      meter: () => (fact) => {
        if (fact.type !== 'call') return;
        asked.push(fact.outcome);
        throw new Error('planted');
      },
    };
    const { work, elector, leader } = await scripted(metrics);
    const errors: string[] = [];
    leader.on('error', ({ error }) => errors.push(error.message));
    elector.grant();
    expect([work.answered(), work.answered()]).toEqual(['done', 'done']);
    expect(asked).toEqual(['run']);
    expect(errors).toEqual(["The election's meter threw and is not called again. The election continues."]);
  });
});

it('the rejection of an async listener is counted, although the elector does not see it', async () => {
  const { elector, leader } = await scripted(prometheusMetrics(register));
  leader.on('newLeader', () => Promise.reject(new Error('planted')));
  elector.revoke('superseded', 'other');
  await new Promise(setImmediate);
  expect(await scrape(register)).toMatchObject({
    'errors_total{name="default",election="default",code="LEADER_LISTENER_FAILED"}': 1,
  });
});

it('an async listener that rejects and an error listener that throws leave no unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  const { elector, leader } = await scripted(prometheusMetrics(register));
  leader.on('newLeader', () => Promise.reject(new Error('planted')));
  leader.on('error', () => {
    throw new Error('broken, too');
  });
  elector.revoke('superseded', 'other');
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

describe('an application with a lease', () => {
  let server: LeaseApiServer;
  beforeEach(async () => {
    server = await LeaseApiServer.start();
  });
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await server.stop();
  });

  @Controller()
  class MetricsController {
    @Get('metrics')
    @Header('Content-Type', 'text/plain; version=0.0.4')
    scrape(): Promise<string> {
      return register.metrics();
    }
  }

  async function start(options: { metrics: unknown; slots?: number }) {
    const given = { leaseNamespace: 'default', kubernetes: { server: server.url } };
    @Module({
      imports: [
        LeaderElectionModule.forRoot({ ...given, ...(options as object), leaseName: 'billing' }),
        LeaderElectionModule.forRoot({
          ...given,
          ...(options as object),
          leaseName: 'mail',
          name: 'mail',
          enabled: false,
        }),
      ],
      controllers: [MetricsController],
    })
    class AppModule {}
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    const app = module.createNestApplication({ logger: false });
    apps.push(app);
    await app.listen(0);
    return app;
  }

  it('shows its metrics to a scrape, from its first term to its last', async () => {
    const app = await start({ metrics: prometheusMetrics(register) });
    await app.get(LeaderService).whenLeader();
    const text = await (await fetch(`${await app.getUrl()}/metrics`)).text();
    expect(text).toContain('# TYPE leader_election_master_status gauge');
    expect(text).toContain('leader_election_master_status{name="billing",election="default"} 1');
    expect(text).toContain('leader_election_master_status{name="mail",election="mail"} 1');
    expect(text).toContain(
      'leader_election_terms_total{name="billing",election="default",takeover="none"} 1',
    );
    expect(text).toContain('leader_election_validity_seconds{name="mail",election="mail"} +Inf');
    // An election without a lease has no watch that could be closed.
    expect(text).not.toContain('leader_election_watch_open{name="mail"');
    apps.splice(0);
    await app.close();
    expect(await scrape(register)).toMatchObject({
      'master_status{name="billing",election="default"}': 0,
      'term_duration_seconds_count{name="billing",election="default",reason="stopped"}': 1,
      'watch_open{name="billing",election="default"}': 0,
    });
  });

  it('shows the terms of a named election', async () => {
    const election = LeaderElectionModule.forRoot({
      name: 'mail',
      leaseName: 'post',
      leaseNamespace: 'default',
      kubernetes: { server: server.url },
      metrics: prometheusMetrics(register),
    });
    const module = await Test.createTestingModule({ imports: [election] }).compile();
    const app = module.createNestApplication({ logger: false });
    apps.push(app);
    await app.init();
    await app.get<LeaderService>(getLeaderToken('mail')).whenLeader();
    const figures = await scrape(register);
    expect(figures).toMatchObject({ 'terms_total{name="post",election="mail",takeover="none"}': 1 });
    expect(Object.keys(figures).filter((series) => series.includes('election="default"'))).toEqual([]);
  });

  it('shows its slots, and no election without a Lease', async () => {
    const app = await start({ metrics: prometheusMetrics(register), slots: 2 });
    await app.get(LeaderService).whenLeader();
    const figures = await scrape(register);
    expect(
      Object.keys(figures)
        .filter((series) => /^master_status.*election="default"/.test(series))
        .sort(),
    ).toEqual([
      'master_status{name="billing-0",election="default"}',
      'master_status{name="billing-1",election="default"}',
    ]);
  });

  it.each([
    [null, /metrics is null: it must be what prometheusMetrics\(\) of nestjs-leader\/metrics/],
    [true, /metrics is boolean: it must be what/],
    [new Registry(), /metrics is a Registry: it must be what/],
    [prometheusMetrics, /metrics is function: it must be what/],
  ])('refuses %o', async (metrics, message) => {
    await expect(start({ metrics })).rejects.toThrow(message);
  });
});

it('two applications in one process have a registry each', async () => {
  const other = new Registry();
  const first = await scripted(prometheusMetrics(register));
  const second = await scripted(prometheusMetrics(other));
  first.elector.grant();
  const series = 'master_status{name="default",election="default"}';
  expect([(await scrape(register))[series], (await scrape(other))[series]]).toEqual([1, 0]);
  expect(second.leader.isLeader()).toBe(false);
});
