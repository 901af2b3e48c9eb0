/**
 * `npm run demo`: three replicas of the sample application on one lease. See docs/start.md.
 *
 *   --script failover     run the failovers without a keyboard, and check them; exit code 1 if a guarantee was broken
 *   --record FILE         write the run into an HTML file when it ends
 *   --no-open             do not open the page in a browser
 *   --kubeconfig FILE     use a real cluster instead of the embedded Lease API server
 *   --namespace NAME      where to keep the lease there (default: default)
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { access, constants, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LeaseApiServer } from 'nestjs-leader/testing';
import { closingTable } from './closing-table.js';
import { DemoRun } from './demo-run.js';
import { runFailoverScript } from './failover-script.js';
import type { Cluster } from './fleet.js';
import { runLive } from './live.js';
import { openBrowser } from './open-browser.js';
import { PageServer } from './page-server.js';
import { pageDocument } from './page/document.js';
import { showTime } from './show-time.js';

interface OpenCluster extends Cluster {
  readonly describe: string;
  close(): Promise<void>;
}

/** The embedded server. Each lane is a user of it, so that the requests of one can hang. */
async function embeddedCluster(lease: Pick<Cluster, 'namespace' | 'leaseName'>): Promise<OpenCluster> {
  const server = await LeaseApiServer.start();
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-demo-'));
  return {
    ...lease,
    kubeconfigOf: (lane) => {
      const path = join(folder, `${lane}.json`);
      writeFileSync(path, server.kubeconfig({ token: lane }), { mode: 0o600 });
      return path;
    },
    cutOff: (lane) => {
      const requests = server.faults.add({ when: { user: lane }, do: 'hangRequest' });
      const watches = server.faults.stallWatches({ user: lane });
      return () => {
        requests.remove();
        watches.remove();
      };
    },
    describe: `the embedded Lease API server on ${server.url}`,
    close: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const USAGE = `Options: --script failover, --record FILE, --no-open, --kubeconfig FILE, --namespace NAME
`;

/** The options of the command line, or what is wrong with them. */
function optionsIn(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        script: { type: 'string' },
        record: { type: 'string' },
        'no-open': { type: 'boolean', default: false },
        kubeconfig: { type: 'string' },
        namespace: { type: 'string', default: 'default' },
      },
    }).values;
  } catch (error) {
    return (error as Error).message;
  }
}

async function playScript(run: DemoRun): Promise<void> {
  run.ours.chronicle.onTransition(({ at, text }) => {
    process.stdout.write(`${showTime(at)}  ${text}\n`);
  });
  const steps = await runFailoverScript(run.ours);
  await run.stopAll();
  process.stdout.write(closingTable(steps, run.ours.chronicle.history, run.ours.judge()));
}

async function playLive(run: DemoRun, opens: boolean): Promise<void> {
  const page = await PageServer.start(run);
  process.stdout.write(`The page: ${page.url}\n\n`);
  if (opens) openBrowser(page.url);
  await runLive(run, page.url);
  process.stdout.write('Stopping the replicas …\n');
  await run.stopAll();
  await page.stop();
}

/** Whether a file can be written there: asked before a run, which would be lost otherwise. */
async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function main(): Promise<number> {
  const values = optionsIn(process.argv.slice(2));
  if (typeof values === 'string') {
    process.stderr.write(`${values}\n${USAGE}`);
    return 2;
  }
  const { script, record, namespace } = values;
  if (script !== undefined && script !== 'failover') {
    process.stderr.write(`There is no script '${script}'; there is: failover.\n`);
    return 2;
  }
  if (record !== undefined && !(await isWritable(dirname(resolve(record))))) {
    process.stderr.write(`--record is '${record}': its folder must exist and be writable.\n`);
    return 2;
  }
  const lease = { namespace, leaseName: `nestjs-leader-demo-${String(process.pid)}` };
  const { kubeconfig } = values;
  const cluster: OpenCluster =
    kubeconfig === undefined
      ? await embeddedCluster(lease)
      : {
          ...lease,
          kubeconfigOf: () => resolve(kubeconfig),
          cutOff: undefined,
          describe: kubeconfig,
          close: () => Promise.resolve(),
        };
  process.stdout.write(`Lease ${namespace}/${lease.leaseName} on ${cluster.describe}; timing 6/4/1 s.\n\n`);
  const run = new DemoRun(cluster);
  try {
    if (script === undefined) await playLive(run, !values['no-open']);
    else await playScript(run);
    if (record !== undefined) {
      await writeFile(record, pageDocument(run.recording()));
      process.stdout.write(`The run is in ${record}.\n`);
    }
    return run.ours.judge().length === 0 ? 0 : 1;
  } finally {
    await run.killAll();
    await cluster.close();
  }
}

process.exitCode = await main();
