/**
 * `npm run demo`: three replicas of the sample application on one lease. See docs/start.md.
 *
 *   --script failover     run the failovers without a keyboard, and check them; exit code 1 if a guarantee was broken
 *   --kubeconfig FILE     use a real cluster instead of the embedded Lease API server
 *   --namespace NAME      where to keep the lease there (default: default)
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LeaseApiServer } from 'nestjs-leader/testing';
import { violationsIn } from './check-claims.js';
import { closingTable } from './closing-table.js';
import { runFailoverScript } from './failover-script.js';
import { Fleet } from './fleet.js';
import { runLive } from './live.js';
import { showTime } from './show-time.js';

interface Cluster {
  readonly kubeconfig: string;
  readonly describe: string;
  close(): Promise<void>;
}

async function embeddedCluster(): Promise<Cluster> {
  const server = await LeaseApiServer.start();
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-demo-'));
  const kubeconfig = join(folder, 'kubeconfig.json');
  await server.writeKubeconfig(kubeconfig);
  return {
    kubeconfig,
    describe: `the embedded Lease API server on ${server.url}`,
    close: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function play(script: string | undefined, fleet: Fleet): Promise<boolean> {
  if (script === undefined) {
    await runLive(fleet);
  } else {
    fleet.chronicle.onTransition(({ at, text }) => {
      process.stdout.write(`${showTime(at)}  ${text}\n`);
    });
    const steps = await runFailoverScript(fleet);
    await fleet.stopAll();
    const { history } = fleet.chronicle;
    process.stdout.write(closingTable(steps, history, violationsIn(history)));
  }
  return violationsIn(fleet.chronicle.history).length === 0;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      script: { type: 'string' },
      kubeconfig: { type: 'string' },
      namespace: { type: 'string', default: 'default' },
    },
  });
  if (values.script !== undefined && values.script !== 'failover') {
    process.stderr.write(`There is no script '${values.script}'; there is: failover.\n`);
    return 2;
  }
  const cluster: Cluster =
    values.kubeconfig === undefined
      ? await embeddedCluster()
      : {
          kubeconfig: resolve(values.kubeconfig),
          describe: values.kubeconfig,
          close: () => Promise.resolve(),
        };
  const leaseName = `nestjs-leader-demo-${String(process.pid)}`;
  process.stdout.write(`Lease ${values.namespace}/${leaseName} on ${cluster.describe}; timing 6/4/1 s.\n\n`);
  const fleet = new Fleet({ kubeconfig: cluster.kubeconfig, namespace: values.namespace, leaseName });
  try {
    return (await play(values.script, fleet)) ? 0 : 1;
  } finally {
    await fleet.killAll();
    await cluster.close();
  }
}

process.exitCode = await main();
