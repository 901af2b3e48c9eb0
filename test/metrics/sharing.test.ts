/** Elections that share a registry, slots, meters that throw, and OpenTelemetry compared with Prometheus. */
import { metrics as globalMetrics } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { Gauge, Registry, register as globalRegister } from 'prom-client';
import { afterEach, expect, it } from 'vitest';
import {
  SlotElector,
  StaticElector,
  resolveElectionOptions,
  type ElectionEvent,
  type ElectionFact,
  type MetricsProvider,
} from '../../lib/election/index.js';
import { openTelemetryMetrics } from '../../lib/metrics/opentelemetry.js';
import { prometheusMetrics } from '../../lib/metrics/prometheus.js';
import { SimulatedLease } from '../../lib/testing/simulated-lease.js';
import { SimulatedTime } from '../../lib/testing/simulated-time.js';
import { World } from '../election/candidate.js';
import { scrape } from './candidate-with-meter.js';

afterEach(() => {
  globalRegister.clear();
  globalMetrics.disable();
});

/** A leader from the start. */
function lead(provider: MetricsProvider, leaseName: string, election = 'default'): AbortController {
  const stop = new AbortController();
  const meter = provider.meter({ leaseName, election });
  void new StaticElector({ role: 'leader', leaseName, meter }).run(stop.signal, () => undefined);
  return stop;
}

it('elections that share a registry differ by their labels', async () => {
  const register = new Registry();
  lead(prometheusMetrics(register), 'billing');
  lead(prometheusMetrics(register), 'mail', 'second');
  expect(await scrape(register)).toMatchObject({
    'master_status{name="billing",election="default"}': 1,
    'master_status{name="mail",election="second"}': 1,
    'validity_seconds{name="mail",election="second"}': Number.POSITIVE_INFINITY,
  });
});

it('registries are independent', async () => {
  const [one, other] = [new Registry(), new Registry()];
  const stop = lead(prometheusMetrics(one), 'billing');
  lead(prometheusMetrics(other), 'billing');
  stop.abort();
  const series = 'master_status{name="billing",election="default"}';
  expect([(await scrape(one))[series], (await scrape(other))[series]]).toEqual([0, 1]);
});

it('the default registry is the global one, and may be cleared between two applications', async () => {
  const provider = prometheusMetrics();
  lead(provider, 'billing');
  globalRegister.clear();
  lead(provider, 'mail');
  expect(await scrape(globalRegister)).toMatchObject({
    'master_status{name="mail",election="default"}': 1,
  });
});

it('two successive electors of one lease share a series', async () => {
  const register = new Registry();
  const stop = lead(prometheusMetrics(register), 'billing');
  stop.abort();
  await Promise.resolve();
  lead(prometheusMetrics(register), 'billing');
  expect(await scrape(register)).toMatchObject({
    'master_status{name="billing",election="default"}': 1,
    'terms_total{name="billing",election="default",takeover="none"}': 2,
  });
});

it('each slot has the name of its own lease', async () => {
  const time = new SimulatedTime();
  const register = new Registry();
  const provider = prometheusMetrics(register);
  const elector = new SlotElector({
    locks: [new SimulatedLease(time), new SimulatedLease(time)].map((lease) => lease.lock('baz')),
    clock: time.clock(),
    meterOf: (leaseName) => provider.meter({ leaseName, election: 'default' }),
    options: resolveElectionOptions({ leaseName: 'shard' }, { leaseNamespace: 'default', identity: 'baz' }),
  });
  void elector.run(new AbortController().signal, () => undefined);
  await time.advanceUntil(() => elector.state.kind === 'leading', 5_000);
  const figures = await scrape(register);
  const statuses = Object.entries(figures).filter(([series]) => series.startsWith('master_status'));
  expect(statuses.map(([series]) => series)).toEqual([
    'master_status{name="shard-0",election="default"}',
    'master_status{name="shard-1",election="default"}',
  ]);
  expect(statuses.map(([, value]) => value).sort()).toEqual([0, 1]);
});

it('a meter that throws at the first fact is reported, too', async () => {
  const world = new World();
  const baz = world.prepare('baz', {}, {}, undefined, undefined, () => {
    throw new Error('planted');
  });
  baz.start();
  await world.time.advance(1_000);
  expect(baz.leads).toBe(true);
  expect(baz.story.filter((line) => line.startsWith('error'))).toEqual(['error LEADER_LISTENER_FAILED']);
});

it('a meter that throws is reported once and not called again, and the election continues', async () => {
  const world = new World();
  const facts: ElectionFact['type'][] = [];
  const baz = world.prepare('baz', {}, {}, undefined, undefined, ({ type }) => {
    facts.push(type);
    if (type === 'termBegan') throw new Error('planted');
  });
  baz.start();
  await world.time.advance(60_000);
  expect(baz.leads).toBe(true);
  expect(facts.at(-1)).toBe('termBegan');
  const errors = baz.events.filter(
    (event): event is ElectionEvent & { type: 'error' } => event.type === 'error',
  );
  expect(
    errors.map(({ error: { code, message, cause } }) => [code, message, (cause as Error).message]),
  ).toEqual([
    [
      'LEADER_LISTENER_FAILED',
      "The election's meter threw and is not called again. The election continues.",
      'planted',
    ],
  ]);
});

async function exported(reader: PeriodicExportingMetricReader) {
  const { resourceMetrics } = await reader.collect();
  return resourceMetrics.scopeMetrics.flatMap(({ scope, metrics }) =>
    metrics.map(({ descriptor, dataPoints }) => ({ scope: scope.name, descriptor, dataPoints })),
  );
}

it('OpenTelemetry gets the same metrics, with units, also if its provider is set later', async () => {
  const metrics = openTelemetryMetrics();
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter });
  const provider = new MeterProvider({ readers: [reader] });
  globalMetrics.setGlobalMeterProvider(provider);

  const world = new World();
  const labels = { leaseName: 'simulated', election: 'default' };
  const baz = world.prepare('baz', {}, {}, undefined, undefined, metrics.meter(labels));
  // So its first renewal is not early.
  baz.clock.random = () => 0;
  baz.start();
  await world.time.advance(5_000);
  lead(metrics, 'other');
  metrics.meter(labels)({ type: 'call', outcome: 'run' });

  const found = new Map((await exported(reader)).map((metric) => [metric.descriptor.name, metric]));
  await provider.shutdown();
  expect([...found.keys()].sort()).toEqual([
    'leader_election.drained',
    'leader_election.gated_calls',
    'leader_election.master_status',
    'leader_election.renew_duration',
    'leader_election.slowpath',
    'leader_election.terms',
    'leader_election.validity',
    'leader_election.watch_open',
  ]);
  const mine = { name: 'simulated', election: 'default' };
  const status = found.get('leader_election.master_status');
  expect(status?.scope).toBe('nestjs-leader');
  expect(status?.dataPoints).toMatchObject([
    { attributes: mine, value: 1 },
    { attributes: { name: 'other', election: 'default' }, value: 1 },
  ]);
  expect(found.get('leader_election.gated_calls')?.dataPoints).toMatchObject([
    { attributes: { ...mine, outcome: 'run' }, value: 1 },
  ]);
  const renewals = found.get('leader_election.renew_duration');
  expect(renewals?.descriptor).toMatchObject({ unit: 's' });
  expect(renewals?.dataPoints).toMatchObject([
    {
      attributes: { ...mine, outcome: 'renewed' },
      value: { count: 1, buckets: { boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] } },
    },
  ]);
});

it('a registry that already has one of the names is refused, and stays unchanged', async () => {
  const register = new Registry();
  const name = 'leader_election_drained_total';
  new Gauge({ name, help: 'somebody else', registers: [register] });
  expect(() => lead(prometheusMetrics(register), 'billing')).toThrow(
    expect.objectContaining({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringContaining(`the registry already has ${name}`),
    }),
  );
  expect(register.getMetricsAsArray()).toHaveLength(1);
  register.removeSingleMetric(name);
  lead(prometheusMetrics(register), 'billing');
  expect(await scrape(register)).toMatchObject({ 'master_status{name="billing",election="default"}': 1 });
});

it('gated calls are counted once, however often they are scraped', async () => {
  const register = new Registry();
  const meter = prometheusMetrics(register).meter({ leaseName: 'billing', election: 'default' });
  meter({ type: 'call', outcome: 'run' });
  const series = 'gated_calls_total{name="billing",election="default",outcome="run"}';
  expect([(await scrape(register))[series], (await scrape(register))[series]]).toEqual([1, 1]);
});
