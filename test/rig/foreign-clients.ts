/**
 * Leader election clients of other languages, each a small program in foreign/ that contends for a lease with the real
 * library. Their libraries come from their registries, in the versions that the files there pin; what is installed and
 * built is kept in the user's cache folder under the hash of those files.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { Contender, type ContenderOptions } from './contender.js';
import { buildInCache, cachePath, RIG, runBuild } from './rig-cache.js';
import type { Program } from './rig-process.js';

/** The languages. */
export type ForeignKit = 'java' | 'npm' | 'python' | 'rust';

/** The clients, by the names of their packages. */
export type ForeignClient =
  'fabric8' | 'client-java' | 'kubernetes' | 'kubernetes_asyncio' | 'kube-leader-election' | 'codedependant';

interface Kit {
  /** The tools that it needs on the PATH, and how to get them. */
  readonly tools: readonly string[];
  readonly remedy: string;
  /** The commands to run in order, in a copy of its folder. */
  readonly build: readonly (readonly [command: string, ...args: string[]])[];
  /** How to start the built program for one client. */
  readonly program: (folder: string, client: ForeignClient) => Program;
}

const MAVEN_DEPENDENCY_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

const KITS: Readonly<Record<ForeignKit, Kit>> = {
  java: {
    tools: ['java', 'javac', 'mvn'],
    remedy:
      'It needs Java 17 or later, Maven, and what pom.xml names (from the local Maven repository or a registry).',
    build: [
      [
        'mvn',
        '--batch-mode',
        '--quiet',
        `${MAVEN_DEPENDENCY_PLUGIN}:copy-dependencies`,
        '-DoutputDirectory=lib',
      ],
      ['javac', '-cp', 'lib/*', '-d', 'classes', 'Contender.java'],
    ],
    // Faster to start, slower to run.
    program: (folder, client) => [
      'java',
      '-XX:TieredStopAtLevel=1',
      '-XX:+UseSerialGC',
      '-cp',
      [join(folder, 'classes'), join(folder, 'lib', '*')].join(':'),
      'Contender',
      `--client=${client}`,
    ],
  },
  npm: {
    tools: ['npm'],
    remedy: 'It needs what package-lock.json names (from the npm cache or a registry).',
    build: [['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund']],
    program: (folder) => [process.execPath, join(folder, 'contender.mjs')],
  },
  python: {
    tools: ['python3'],
    remedy: 'It needs Python 3.11 or later with venv, and what requirements.txt names (from a registry).',
    build: [
      ['python3', '-m', 'venv', 'venv'],
      [
        'venv/bin/python',
        '-m',
        'pip',
        'install',
        '--quiet',
        '--no-deps',
        '--requirement',
        'requirements.txt',
      ],
    ],
    program: (folder, client) => [
      join(folder, 'venv', 'bin', 'python'),
      join(folder, 'contender.py'),
      `--client=${client}`,
    ],
  },
  rust: {
    tools: ['cargo'],
    remedy: 'It needs Rust 1.89 or later and the crates of Cargo.lock (from the cargo cache or a registry).',
    build: [
      ['cargo', 'build', '--locked', '--quiet'],
      ['mv', 'target/debug/kube-leader-election-contender', 'contender'],
      ['rm', '-r', 'target'],
    ],
    program: (folder) => [join(folder, 'contender')],
  },
};

const KIT_OF: Readonly<Record<ForeignClient, ForeignKit>> = {
  fabric8: 'java',
  'client-java': 'java',
  kubernetes: 'python',
  kubernetes_asyncio: 'python',
  'kube-leader-election': 'rust',
  codedependant: 'npm',
};

/** How to start contenders of a client, or why it is not available. */
export type ForeignSearch =
  | {
      readonly available: true;
      /** Installs and builds it, unless that has been done. */
      readonly install: () => Promise<void>;
      readonly start: (options: ForeignContenderOptions) => Promise<Contender>;
    }
  | { readonly available: false; readonly reason: string };

export interface ForeignContenderOptions extends Required<ContenderOptions> {
  /** Environment variables in addition to those of this process. */
  readonly env?: NodeJS.ProcessEnv;
}

function startOne(client: ForeignClient, program: Program, options: ForeignContenderOptions): Contender {
  const { kubeconfig, namespace, lease, identity, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
  const args = [
    `--kubeconfig=${kubeconfig}`,
    `--namespace=${namespace}`,
    `--lease=${lease}`,
    `--identity=${identity}`,
    `--lease-duration-ms=${String(leaseDurationMs)}`,
    `--renew-deadline-ms=${String(renewDeadlineMs)}`,
    `--retry-period-ms=${String(retryPeriodMs)}`,
  ];
  return new Contender(client, identity, program, args, { ...process.env, ...options.env });
}

/**
 * @throws Error if its language is not installed, but `REQUIRE_FOREIGN_CLIENTS`, a list of languages, names it, as in CI.
 */
export function findForeignClient(
  client: ForeignClient,
  env: NodeJS.ProcessEnv = process.env,
): ForeignSearch {
  const kit = KIT_OF[client];
  const tools = KITS[kit].tools.map((tool) => ({
    tool,
    ...spawnSync(tool, ['--version'], { env, encoding: 'utf8' }),
  }));
  const missing = tools.filter(({ status }) => status !== 0).map(({ tool }) => tool);
  if (missing.length > 0) {
    const reason = `${missing.join(' and ')} cannot be run. ${KITS[kit].remedy}`;
    const required = (env['REQUIRE_FOREIGN_CLIENTS'] ?? '').split(/[\s,]+/);
    if (!required.includes(kit)) return { available: false, reason };
    throw new Error(`Foreign clients in ${kit} are required (REQUIRE_FOREIGN_CLIENTS), but ${reason}`);
  }
  // The hash includes the versions of the tools, because a build may not run with other versions.
  const target = pathOf(kit, tools.map(({ stdout }) => stdout).join(''));
  const install = async (): Promise<string> =>
    buildInCache(target, `test/rig/foreign/${kit}`, 'a minute or more', (unfinished) =>
      build(kit, unfinished),
    );
  return {
    available: true,
    install: async () => {
      await install();
    },
    start: async (options) => startOne(client, KITS[kit].program(await install(), client), options),
  };
}

async function build(kit: ForeignKit, unfinished: string): Promise<void> {
  await cp(join(RIG, 'foreign', kit), unfinished, { recursive: true });
  for (const [command, ...args] of KITS[kit].build) {
    await runBuild({ command, args, cwd: unfinished, remedy: KITS[kit].remedy });
  }
}

function pathOf(kit: ForeignKit, tools: string): string {
  const source = join(RIG, 'foreign', kit);
  const hash = createHash('sha256').update(tools).update(JSON.stringify(KITS[kit].build));
  const files = readdirSync(source, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  for (const path of files.map((entry) => join(entry.parentPath, entry.name)).sort()) {
    hash.update(path.slice(source.length)).update(readFileSync(path));
  }
  return cachePath(hash.digest('hex'), kit);
}
