/**
 * A real Prometheus scrapes three replicas of the sample application, which meet faults, and every query of the dashboard is
 * asked. The panels are drawn into build/dashboard.html, to be looked at; Grafana itself is not run.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as definitions from '../../lib/metrics/definitions.js';
import { LeaseApiServer } from '../../lib/testing.js';
import { freePorts } from '../rig/free-ports.js';
import { scratchFolder } from '../rig/guard.js';
import { Prometheus, findPrometheus, type Series } from '../rig/prometheus.js';
import { RigProcess } from '../rig/rig-process.js';
import { filled, legendOf, readDashboard } from './dashboard.js';
import { picture, type DrawnPanel } from './dashboard-picture.js';

const REPLICAS = ['sample-app-a', 'sample-app-b', 'sample-app-c'];
const RATE_INTERVAL = '10s';
const STOP_WITHIN_MS = 10_000;
const found = findPrometheus();

if (!found.available) {
  describe('the dashboard', () => {
    it(`is not drawn here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('the dashboard over a real Prometheus', () => {
    let server: LeaseApiServer;
    const processes = new Map<string, RigProcess>();
    const addresses = new Map<string, string>();
    let prometheus: Prometheus;
    let startedAt: number;
    let drawn: readonly DrawnPanel[];

    const leader = async (): Promise<string> => {
      const [series] = await prometheus.whenAny(
        '(leader_election_master_status == 1) and on () (sum(leader_election_master_status) == 1)',
      );
      return String(series?.metric['pod']);
    };

    const replica = (pod: string): RigProcess => {
      const known = processes.get(pod);
      if (known === undefined) throw new Error(`there is no replica '${pod}'`);
      return known;
    };

    /** Resolves when one that is not `former` is seen to lead alone. */
    const nextLeader = async (former: string): Promise<void> => {
      await prometheus.whenAny(
        `(leader_election_master_status{pod!="${former}"} == 1) and on () (sum(leader_election_master_status) == 1)`,
      );
    };

    beforeAll(async () => {
      server = await LeaseApiServer.start();
      const kubeconfig = await server.writeKubeconfig(
        join(await scratchFolder('dashboard'), 'kubeconfig.json'),
      );
      for (const [index, port] of (await freePorts(REPLICAS.length)).entries()) {
        const pod = String(REPLICAS[index]);
        addresses.set(pod, `127.0.0.1:${String(port)}`);
        const env = {
          ...process.env,
          KUBECONFIG: kubeconfig,
          HOST: '127.0.0.1',
          PORT: String(port),
          IDENTITY: pod,
          LEASE_NAMESPACE: 'shop',
          LEASE_DURATION: '6000',
          RENEW_DEADLINE: '4000',
          RETRY_PERIOD: '1000',
        };
        const program = [process.execPath, 'build/sample-app/main.js'] as const;
        processes.set(pod, new RigProcess(pod, program, [], undefined, env));
      }
      const targets = Object.fromEntries(
        [...addresses].map(([pod, address]) => [address, { namespace: 'shop', pod }]),
      );
      startedAt = Date.now() / 1_000;
      prometheus = await Prometheus.start(
        found.prometheus,
        targets,
        join(process.cwd(), 'deploy/prometheus/rules.yaml'),
      );
    });

    afterAll(async () => {
      await Promise.all([...processes.values()].map((one) => one.stop(STOP_WITHIN_MS)));
      await prometheus.stop();
      await server.stop();
    });

    /** Everything that the metrics tell of, but for work that is waited for: that of the sample application ends at once. */
    it('sees faults and failovers', async () => {
      const { faults } = server;
      const count = (metric: string): string => `sum(${metric}) > 0`;
      const first = await leader();
      for (let call = 0; call < 20; call += 1)
        await Promise.all(
          [...addresses.values()].map((address) => fetch(`http://${address}/invoices`, { method: 'POST' })),
        );

      for (const answer of [500, 409] as const)
        await faults.add({ when: { verb: 'update' }, times: 1, do: { answer } }).whenHappened();
      await prometheus.whenAny(count('leader_election_errors_total{code="LEADER_SERVER_ERROR"}'));
      await prometheus.whenAny(count('leader_election_renew_duration_seconds_count{outcome="conflict"}'));

      const denied = faults.add({ when: { verb: 'watch' }, do: { answer: 403 } });
      faults.endWatches();
      await prometheus.whenAny('sum(leader_election_watch_open) == 0');
      denied.remove();
      await prometheus.whenAny('sum(leader_election_watch_open) == 3');

      replica(first).signal('SIGSTOP');
      await nextLeader(first);
      replica(first).signal('SIGCONT');
      await prometheus.whenAny(count('leader_election_term_duration_seconds_count{reason="deadline"}'));

      const second = await leader();
      await replica(second).stop(STOP_WITHIN_MS);
      await nextLeader(second);
      // Long enough to be seen in the picture.
      await prometheus.whenAny(
        '(min_over_time(leader_election_master_status[5s]) == 1) and leader_election_master_status',
      );
      await prometheus.whenAny(
        count(`increase(leader_election_terms_total{takeover="clean"}[${RATE_INTERVAL}])`),
      );
    });

    it('shows data in every panel, with every word of its legend', async () => {
      // The last step of a range is not later than its end.
      const now = Date.now() / 1_000 + 1;
      drawn = await Promise.all(
        (await readDashboard()).panels.map(async (panel) => {
          const series: [string, Series][] = [];
          for (const { expr, legendFormat } of panel.targets) {
            const rows = await prometheus.queryRange(filled(expr, RATE_INTERVAL), startedAt, now, 1);
            expect(rows, `${panel.title}: ${expr}`).not.toEqual([]);
            for (const row of rows) {
              const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
              expect(Object.keys(row.metric), panel.title).toEqual(expect.arrayContaining(labels));
              series.push([legendOf(legendFormat, row.metric), row]);
            }
          }
          return { panel, series };
        }),
      );
      await mkdir('build', { recursive: true });
      await writeFile('build/dashboard.html', picture(drawn, startedAt, now));
    });

    it('shows the failovers in the panels of terms and leaders', () => {
      const panel = (title: string): DrawnPanel['series'] =>
        drawn.find((one) => one.panel.title === title)?.series ?? [];
      const highest = (title: string, legend: RegExp): number =>
        Math.max(
          ...panel(title)
            .filter(([name]) => legend.test(name))
            .flatMap(([, { values }]) => values.map(([, value]) => Number(value))),
        );
      expect(highest('Terms, by how the lease was found', /unclean$/)).toBeGreaterThan(0);
      expect(highest('Terms, by how the lease was found', / clean$/)).toBeGreaterThan(0);
      expect(highest('Terms, by why they ended', /deadline$/)).toBeGreaterThan(0);
      expect(highest('Terms in a day', /sample-app$/)).toBeGreaterThanOrEqual(2);
      expect(panel('Who leads').length).toBeGreaterThanOrEqual(2);
      const led = panel('Leadership').filter(([, { values }]) => values.some(([, value]) => value === '1'));
      expect(led.length).toBeGreaterThanOrEqual(2);
    });

    it('is made of metrics that moved, but for the one of work that was waited for', async () => {
      const metrics = Object.values(definitions).filter((one): one is definitions.Metric => 'name' in one);
      const still: string[] = [];
      for (const metric of metrics) {
        const name = 'buckets' in metric ? `${metric.name}_count` : metric.name;
        const now = Date.now() / 1_000;
        const rows = await prometheus.queryRange(`sum(${name}) or vector(0)`, startedAt, now, 1);
        const values = new Set(rows.flatMap((row) => row.values.map(([, value]) => value)));
        if (values.size < 2) still.push(name);
      }
      expect(still).toEqual([definitions.DRAINED.name]);
    });

    it('is beside rules that find one leader, and no alert that wakes somebody', async () => {
      const leaders = await prometheus.query('cluster_namespace_name:leader_election_master_status:sum');
      expect(leaders.map(({ metric, values }) => [metric['name'], values[0]?.[1]])).toEqual([
        ['sample-app', '1'],
      ]);
      expect(await prometheus.query('ALERTS{alertstate="firing",severity="critical"}')).toEqual([]);
    });
  });
}
