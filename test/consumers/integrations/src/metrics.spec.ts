/** Elections that report to Prometheus and to OpenTelemetry. */
import { Controller, Get, Header, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { LeaderElectionModule, LeaderService, OnlyWhenLeader } from 'nestjs-leader';
import { prometheusMetrics } from 'nestjs-leader/metrics';
import { openTelemetryMetrics } from 'nestjs-leader/opentelemetry';
import { LeaseApiServer } from 'nestjs-leader/testing';
import { Registry, register as globalRegister } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';

let server: LeaseApiServer;

beforeEach(async () => {
  server = await LeaseApiServer.start();
});
afterEach(async () => {
  globalRegister.clear();
  await server.stop();
});

@Injectable()
class Invoices {
  @OnlyWhenLeader({ otherwise: 'skip' })
  send(): void {
    // Nothing to send.
  }
}

@Controller()
class MetricsController {
  @Get('metrics')
  @Header('Content-Type', 'text/plain; version=0.0.4')
  scrape(): Promise<string> {
    return globalRegister.metrics();
  }
}

function election(identity: string, metrics: ReturnType<typeof prometheusMetrics>) {
  return LeaderElectionModule.forRoot({
    leaseName: 'billing',
    leaseNamespace: 'default',
    kubernetes: { server: server.url },
    identity,
    metrics,
  });
}

it('a scrape shows who leads, how it came to that, and what the gate did', async () => {
  @Module({
    imports: [election('first', prometheusMetrics())],
    providers: [Invoices],
    controllers: [MetricsController],
  })
  class First {}
  const first = await NestFactory.create(First, { logger: false });
  await first.listen(0);
  await first.get(LeaderService).whenLeader();
  first.get(Invoices).send();
  const scrape = async () => (await fetch(`${await first.getUrl()}/metrics`)).text();
  expect(await scrape()).toContain('leader_election_master_status{name="billing",election="default"} 1');

  const registry = new Registry();
  const second = await NestFactory.createApplicationContext(
    {
      module: class Second {},
      imports: [election('second', prometheusMetrics(registry))],
      providers: [Invoices],
    },
    { logger: false },
  );
  second.get(Invoices).send();
  await first.get(LeaderService).stepDown({ cooldown: 60_000 });
  await second.get(LeaderService).whenLeader();

  const ofFirst = await scrape();
  for (const line of [
    'leader_election_master_status{name="billing",election="default"} 0',
    'leader_election_terms_total{name="billing",election="default",takeover="none"} 1',
    'leader_election_term_duration_seconds_count{name="billing",election="default",reason="steppedDown"} 1',
    'leader_election_gated_calls_total{name="billing",election="default",outcome="run"} 1',
  ])
    expect(ofFirst).toContain(line);
  const ofSecond = await registry.metrics();
  for (const line of [
    'leader_election_master_status{name="billing",election="default"} 1',
    'leader_election_terms_total{name="billing",election="default",takeover="clean"} 1',
    'leader_election_gated_calls_total{name="billing",election="default",outcome="skipped"} 1',
  ])
    expect(ofSecond).toContain(line);
  await Promise.all([first.close(), second.close()]);
});

it('OpenTelemetry is told the same', async () => {
  const reader = new PeriodicExportingMetricReader({
    exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
  });
  const provider = new MeterProvider({ readers: [reader] });
  const app = await NestFactory.createApplicationContext(
    {
      module: class Root {},
      imports: [election('only', openTelemetryMetrics(provider))],
      providers: [Invoices],
    },
    { logger: false },
  );
  await app.get(LeaderService).whenLeader();
  const { resourceMetrics } = await reader.collect();
  const status = resourceMetrics.scopeMetrics
    .flatMap(({ metrics }) => metrics)
    .find(({ descriptor }) => descriptor.name === 'leader_election.master_status');
  expect(status?.dataPoints).toMatchObject([
    { attributes: { name: 'billing', election: 'default' }, value: 1 },
  ]);
  await app.close();
  await provider.shutdown();
});
