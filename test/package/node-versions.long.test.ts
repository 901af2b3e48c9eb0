/**
 * The packed tarball on later versions of Node than the one that runs the tests, with each version of client-node and without:
 * replicas on a real API server, the entry points by import and by require, and the tests of the transport. The versions are
 * pinned; docs/compatibility.md names them.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { KubernetesOptions } from '../../lib/index.js';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { Contender } from '../rig/contender.js';
import { scratchFolder } from '../rig/guard.js';
import type { RealApiServer } from '../rig/real-api-server.js';
import { buildInCache, cachePath, runBuild } from '../rig/rig-cache.js';
import { ADMIN_TOKEN } from '../rig/users.js';
import { installConsumer, packTarball, run } from './consumer.js';

const NODES = ['22.23.3', '24.21.0'];

interface Application {
  readonly nest: string;
  readonly clientNode: string;
}

const WITH_CLIENT_NODE_2: Application = { nest: '12.5.1', clientNode: '2.0.1' };
const WITHOUT_CLIENT_NODE: Application = { nest: '12.5.1', clientNode: 'none' };
const APPLICATIONS: readonly Application[] = [
  WITH_CLIENT_NODE_2,
  { nest: '11.2.10', clientNode: '1.4.0' },
  WITHOUT_CLIENT_NODE,
];

/** The tests of everything between the election and the API server: HTTP/2, TLS, proxies, credentials, client-node. */
const TRANSPORT_TESTS = ['test/kubernetes', 'test/security', 'test/package/without-client-node.test.ts'];

/** Runs them with the client-node of a folder. */
const runTests = (clientNode: string): string => `
import { startVitest } from 'vitest/node';
const alias = [{ find: /^@kubernetes.client-node$/, replacement: ${JSON.stringify(clientNode)} }];
const options = { run: true, reporters: ['dot'] };
const vitest = await startVitest('test', ${JSON.stringify(TRANSPORT_TESTS)}, options, { resolve: { alias } });
await vitest.close();
`;

/** The installed applications, which any version of Node can run. */
const folders = new Map<Application, string>();
const binaries = new Map<string, string>();

beforeAll(async () => {
  const tarball = await packTarball();
  for (const application of APPLICATIONS) folders.set(application, await install(application, tarball.path));
  await tarball.remove();
  for (const version of NODES) binaries.set(version, await nodeBinary(version));
});

afterAll(async () => {
  for (const folder of folders.values()) await rm(folder, { recursive: true, force: true });
});

it('docs/compatibility.md names these versions', async () => {
  const page = await readFile('docs/compatibility.md', 'utf8');
  const short = (version: string): string => version.replace(/\.\d+$/, '');
  const clients = APPLICATIONS.map(({ clientNode }) => short(clientNode));
  expect(page).toContain(
    `| Node ${NODES.map(short).join(' and ')} (\`test:long\`): the packed package, with client-node ${clients.slice(0, -1).join(', ')} and ${String(clients.at(-1))} `,
  );
});

describe.each(NODES)('on Node %s', (node) => {
  it(`the tests of the transport pass with client-node ${WITH_CLIENT_NODE_2.clientNode}`, async () => {
    const clientNode = join(folderOf(WITH_CLIENT_NODE_2), 'node_modules', '@kubernetes', 'client-node');
    const args = ['--input-type=module', '--eval', runTests(clientNode)];
    expect(await run('.', binaryOf(node), args)).toMatch(/Tests +\d+ passed \(\d+\)/);
  });

  describe.each(APPLICATIONS.map((each) => [titleOf(each), each] as const))(
    'with %s',
    (_title, application) => {
      it.each([
        ['import', 'require'],
        ['require', 'import'],
      ])('%s, then %s, of every entry point give one instance', async (...ways) => {
        const { exports } = JSON.parse(await readFile('package.json', 'utf8')) as { exports: object };
        const output = await run(folderOf(application), binaryOf(node), ['entry-points.cjs', ...ways]);
        expect(JSON.parse(output)).toEqual({
          ran: { node: `v${node}`, ...application },
          entryPoints: Object.keys(exports)
            .filter((path) => path !== './package.json')
            .map((path) => path.replace('.', 'nestjs-leader')),
          empty: [],
          different: [],
        });
      });
    },
  );
});

onRealApiServer('two replicas on a real API server', {}, (stage) => {
  const replicas: Contender[] = [];
  let elections = 0;

  afterEach(() => Promise.all(replicas.splice(0).map((replica) => replica.kill())));

  /** Starts two together, on a Lease that does not exist yet. */
  function startTwo(
    node: string,
    application: Application,
    kubernetes: KubernetesOptions,
  ): [Contender, Contender] {
    elections += 1;
    const leaseName = `election-${String(elections)}`;
    const startOne = (identity: string): Contender => {
      const election = { leaseName, leaseNamespace: 'default', identity, kubernetes };
      const env = { ...process.env, KUBECONFIG: '', ELECTION: JSON.stringify(election) };
      const program = join(folderOf(application), 'replica.mjs');
      const replica = new Contender(`Node ${node}`, identity, [binaryOf(node), program], [], env);
      replicas.push(replica);
      return replica;
    };
    return [startOne('one'), startOne('two')];
  }

  async function electAndHandOver(one: Contender, two: Contender): Promise<void> {
    const first = await Promise.race([one.said('started'), two.said('started')]);
    const [leader, follower] = first.identity === one.identity ? [one, two] : [two, one];
    const seen = await follower.said('leader');
    expect(seen.leader).toBe(leader.identity);
    expect(follower.events.map(({ event }) => event)).not.toContain('started');

    leader.signal('SIGTERM');
    const next = await follower.said('started');
    const stopped = await leader.said('stopped');
    expect(stopped.token).toBe(first.token);
    expect(stopped.monotonicNs).toBeLessThan(next.monotonicNs);
    expect(BigInt(next.token)).toBeGreaterThan(BigInt(first.token));

    await leader.stop();
    await follower.stop();
    expect((await follower.said('stopped')).token).toBe(next.token);
    for (const replica of [one, two]) expect(replica.log).toBe('');
  }

  const rows = NODES.flatMap((node) =>
    APPLICATIONS.flatMap((application) =>
      sourcesOf(application).map(({ source, kubernetes }) => {
        const title = `Node ${node}, ${titleOf(application)}, ${source}`;
        return [title, node, application, kubernetes] as const;
      }),
    ),
  );

  it.each(rows)(
    'elect one leader and hand over on SIGTERM: %s',
    async (_title, node, application, kubernetes) => {
      await electAndHandOver(...startTwo(node, application, await kubernetes(stage.server)));
    },
  );
});

interface Source {
  readonly source: string;
  readonly kubernetes: (server: RealApiServer) => KubernetesOptions | Promise<KubernetesOptions>;
}

/** The sources that need client-node, or those that do not. */
function sourcesOf(application: Application): readonly Source[] {
  if (application === WITHOUT_CLIENT_NODE) {
    return [
      {
        source: 'an address',
        kubernetes: ({ url, ca }) => ({ server: url, certificateAuthority: ca, token: ADMIN_TOKEN }),
      },
    ];
  }
  const apiVersion = 'client.authentication.k8s.io/v1';
  const credential = { apiVersion, kind: 'ExecCredential', status: { token: ADMIN_TOKEN } };
  const exec = { apiVersion, interactiveMode: 'Never', command: 'echo', args: [JSON.stringify(credential)] };
  return [
    {
      source: 'a kubeconfig with a token',
      kubernetes: (server) => inFile(server.kubeconfig()),
    },
    {
      source: 'a kubeconfig with a credential plugin',
      kubernetes: (server) => inFile(server.kubeconfigWith({ exec })),
    },
  ];
}

async function inFile(kubeconfig: string): Promise<KubernetesOptions> {
  const kubeconfigFile = join(await scratchFolder('kubeconfig'), 'config');
  await writeFile(kubeconfigFile, kubeconfig);
  return { kubeconfigFile };
}

function install({ nest, clientNode }: Application, tarball: string): Promise<string> {
  return installConsumer('node-versions', tarball, {
    dependencies: {
      ...(clientNode === 'none' ? {} : { '@kubernetes/client-node': clientNode }),
      '@nestjs/common': nest,
      '@nestjs/core': nest,
      '@opentelemetry/api': '^1.9.1',
      'prom-client': '^15.1.3',
      'reflect-metadata': '^0.2.2',
      rxjs: '^7.8.1',
    },
  });
}

/** The binary of a version of Node, from the package that `node` on npm installs on this platform; kept in the rig's cache. */
async function nodeBinary(version: string): Promise<string> {
  const name = `node-${process.platform}-${process.arch}`;
  const target = cachePath(`node-${version}`, name);
  await buildInCache(target, `Node ${version}`, 'some seconds', async (unfinished) => {
    await mkdir(unfinished);
    await runBuild({
      command: 'npm',
      args: [
        'install',
        `${name}@${version}`,
        '--prefix',
        unfinished,
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
      ],
      cwd: unfinished,
      remedy: 'It needs that package (from the npm cache or a registry).',
    });
  });
  return join(target, 'node_modules', name, 'bin', 'node');
}

function titleOf({ nest, clientNode }: Application): string {
  return `Nest ${nest} and client-node ${clientNode}`;
}

function folderOf(application: Application): string {
  return known(folders.get(application));
}

function binaryOf(version: string): string {
  return known(binaries.get(version));
}

function known(path: string | undefined): string {
  if (path === undefined) throw new Error('the set-up has not ended');
  return path;
}
