/** Every integration with its real package, from the packed tarball. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { prepared } from '../postgresql/rig.js';
import { findPostgresql, type Postgresql } from '../rig/postgresql.js';
import { findRedis, type RunningRedis } from '../rig/redis.js';
import { examplesIn, installConsumer, packTarball, run } from './consumer.js';

/** Long enough for two fresh installations on a busy machine. */
const INSTALL_AND_RUN_MS = 600_000;

/** The pages whose examples are copied to src/recipes of the consumer. */
const RECIPES = [
  'docs/recipes/cron.md',
  'docs/recipes/exactly-one-consumer.md',
  'docs/recipes/microservices.md',
  'docs/recipes/migrations.md',
  'docs/recipes/multi-tenant.md',
  'docs/recipes/outbox-relay.md',
  'docs/recipes/pg-boss.md',
  'docs/recipes/postgresql-lock.md',
  'docs/recipes/to-the-leader.md',
  'docs/sharing-work.md',
];

const devDependencies = {
  '@electric-sql/pglite': '^0.5.14', // PostgreSQL
  '@electric-sql/pglite-socket': '^0.2.17',
  '@types/node': '^20',
  '@types/pg': '^8',
  '@types/ws': '^8',
  esbuild: '^0.25.0',
  pg: '^8.16.0',
  typescript: '~6.0.3',
  vitest: '~4.1.12',
};

/** Tests that need a Redis are left out if there is none; CI requires one (test/rig/redis.ts). */
const foundRedis = findRedis();
const withoutRedis = ['**/bull*.spec.ts', '**/redis-*.spec.ts'].flatMap((specs) => ['--exclude', specs]);

/** And so are those that need a PostgreSQL (test/rig/postgresql.ts). */
const foundPostgresql = findPostgresql();
const withoutPostgresql = ['--exclude', '**/postgresql-*.spec.ts'];

/** Defines the test that every integration compiles and behaves on this version of Nest. */
export function everyIntegrationOn(nest: string): void {
  let tarball: Awaited<ReturnType<typeof packTarball>>;
  let redis: RunningRedis | undefined;
  let postgresql: Postgresql | undefined;

  beforeAll(async () => {
    if (foundRedis.available) redis = await foundRedis.start();
    if (foundPostgresql.available) {
      postgresql = await foundPostgresql.start();
      await prepared(postgresql);
    }
    tarball = await packTarball();
  });

  afterAll(async () => {
    await tarball.remove();
    await redis?.stop();
    await postgresql?.stop();
  });

  if (!foundRedis.available) {
    const plainly = `queues and the Redis transport are not tested here: ${foundRedis.reason}`;
    it(plainly, () => {
      console.info(plainly);
      expect(foundRedis.reason).not.toBe('');
    });
  }

  if (!foundPostgresql.available) {
    const plainly = `the PostgreSQL lock is not tested here: ${foundPostgresql.reason}`;
    it(plainly, () => {
      console.info(plainly);
      expect(foundPostgresql.reason).not.toBe('');
    });
  }

  it(
    `every integration compiles and behaves on Nest ${nest}`,
    async () => {
      const packageJson = { type: 'module', devDependencies, ...(await packagesOf(nest)) };
      const folder = await installConsumer('integrations', tarball.path, packageJson);
      await writeExamples(join(folder, 'src', 'docs'));
      await writeReadme(join(folder, 'src', 'readme'));
      await writeRecipes(join(folder, 'src', 'recipes'), RECIPES);
      await writeRecipes(join(folder, 'src', 'handlers'), ['docs/gate.md']);
      await writeRecipes(join(folder, 'src', 'fencing'), ['docs/recipes/fencing.md']);
      await writeRecipes(join(folder, 'src', 'migrating'), ['docs/coming-from-node.md']);
      await run(folder, 'npx', ['tsc']);
      const leftOut = [
        ...(redis === undefined ? withoutRedis : []),
        ...(postgresql === undefined ? withoutPostgresql : []),
      ];
      const environment = { REDIS_URL: redis?.url, DATABASE_URL: postgresql?.url };
      const output = await run(folder, 'npx', ['vitest', 'run', ...leftOut], environment);
      for (const [figures] of output.matchAll(/^measured: .*$/gm)) console.info(`Nest ${nest}: ${figures}`);
      expect(await resultsIn(folder)).toMatchObject({ success: true, numPendingTests: 0 });
      await rm(folder, { recursive: true, force: true });
    },
    INSTALL_AND_RUN_MS,
  );
}

/** The packages of this version of Nest, from a file beside the specs. */
async function packagesOf(nest: string): Promise<{
  dependencies: Record<string, string>;
  /** For packages that do not name this version of Nest as a peer yet. */
  overrides?: object;
}> {
  const path = join(import.meta.dirname, '..', 'consumers', 'integrations', `nest-${nest}.json`);
  return JSON.parse(await readFile(path, 'utf8')) as Awaited<ReturnType<typeof packagesOf>>;
}

/** The Vitest examples of docs/testing.md with the service that they test, and those of some other pages. */
async function writeExamples(folder: string): Promise<void> {
  await mkdir(folder);
  const service = 'invoices.service.ts';
  const shown = (await examplesIn('docs/testing.md')).get(service) ?? '';
  const examples = [
    [service, shown],
    ...(await examplesIn('docs/testing.md', 'vitest')),
    ...(await examplesIn('docs/recipes/bullmq.md')),
    ['leader.controller.ts', (await examplesIn('docs/api.md')).get('leader.controller.ts') ?? ''],
  ] as const;
  for (const [name, code] of examples) await writeFile(join(folder, name), code);
}

/** The test that the README shows, beside the service that it tests. */
async function writeReadme(folder: string): Promise<void> {
  await mkdir(folder);
  const service = 'invoices.service.ts';
  const test = 'invoices.service.spec.ts';
  await writeFile(join(folder, service), (await examplesIn('README.md')).get(service) ?? '');
  const shown = (await examplesIn('README.md', 'test')).get(test) ?? '';
  // A new Nest application sets globals, this folder does not.
  await writeFile(join(folder, test), `import { expect, it } from 'vitest';\n${shown}`);
}

/** The examples of recipes, beside the specs that run them. Their file names must be unique in a folder. */
async function writeRecipes(folder: string, pages: readonly string[]): Promise<void> {
  for (const page of pages) {
    for (const [name, code] of await examplesIn(page))
      await writeFile(join(folder, name), code, { flag: 'wx' });
  }
}

async function resultsIn(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, 'results.json'), 'utf8'));
}
