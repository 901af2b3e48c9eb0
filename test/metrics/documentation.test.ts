/** docs/metrics.md lists exactly the metrics of a registry, each with its type and label. */
import { readFile } from 'node:fs/promises';
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { COMMON_LABELS } from '../../lib/metrics/definitions.js';
import { prometheusMetrics } from '../../lib/metrics/prometheus.js';

interface Announced {
  readonly name: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

const documented = async (): Promise<string> => readFile('docs/metrics.md', 'utf8');

function announced(): Announced[] {
  const register = new Registry();
  prometheusMetrics(register).meter({ leaseName: 'billing', election: 'default' });
  return register.getMetricsAsArray() as unknown as Announced[];
}

it('the table lists every metric with its type and label', async () => {
  const rows = (await documented()).matchAll(/^\| `(leader_election_\w+)` +\| (\w+) +\| (?:`(\w+)`)? +\|/gm);
  const table = [...rows].map(([, name, type, label]) => [name, type, label]);
  const shown = announced().map(({ name, type, labelNames }) => [
    name,
    type,
    labelNames[COMMON_LABELS.length],
  ]);
  expect(table.sort()).toEqual(shown.sort());
});

it('every metric that the alerts and examples use exists', async () => {
  const used = (await documented()).match(/leader_election_\w+/g) ?? [];
  const series = announced().flatMap(({ name }) => [name, `${name}_bucket`, `${name}_count`]);
  expect(used.filter((name) => !series.includes(name))).toEqual([]);
});

it('names follow the conventions: counters end in _total, durations in _seconds, and each has a help text', () => {
  for (const metric of announced()) {
    expect(metric.name.endsWith('_total'), metric.name).toBe(metric.type === 'counter');
    if (metric.type === 'histogram') expect(metric.name).toMatch(/_seconds$/);
    expect(metric).toMatchObject({ help: expect.stringMatching(/\.$/) });
  }
});
