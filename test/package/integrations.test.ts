/** Every integration with the package of its own, from the packed tarball, on both lines of Nest. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findRedis, type RunningRedis } from '../rig/redis.js';
import { examplesIn, installConsumer, packTarball, run } from './consumer.js';

const common = {
  'reflect-metadata': '^0.2.2',
  rxjs: '^7.8.1',
  '@kubernetes/client-node': '~1.4.0',
};

const lines = [
  {
    nest: '11',
    dependencies: {
      ...common,
      '@nestjs/bullmq': '^11.0.5',
      '@nestjs/common': '^11.2.10',
      '@nestjs/core': '^11.2.10',
      '@nestjs/event-emitter': '^3.1.0',
      '@nestjs/platform-express': '^11.2.10',
      '@nestjs/microservices': '^11.2.6',
      '@nestjs/schedule': '^6.1.3',
      '@nestjs/terminus': '^11.1.1',
      '@nestjs/testing': '^11.2.6',
      bullmq: '^5.81.5',
      ioredis: '^5.11.1',
    },
  },
  {
    nest: '12',
    dependencies: {
      ...common,
      '@nestjs/bullmq': '^12.0.0',
      '@nestjs/common': '^12.5.1',
      '@nestjs/core': '^12.5.1',
      '@nestjs/event-emitter': '^12.0.1',
      '@nestjs/platform-express': '^12.5.1',
      '@nestjs/microservices': '^12.1.1',
      '@nestjs/schedule': '^12.0.2',
      '@nestjs/terminus': '^12.1.0',
      '@nestjs/testing': '^12.1.1',
      bullmq: '^6.7.0',
      ioredis: '^5.11.1',
    },
  },
];

/** A bound against hanging: two fresh installations, on a machine that may be busy. */
const INSTALL_AND_RUN_MS = 600_000;

const devDependencies = { '@types/node': '^20', typescript: '~6.0.3', vitest: '~4.1.12' };

/** What needs a Redis is left out where there is none, and CI says that there must be one (test/rig/redis.ts). */
const foundRedis = findRedis();
const withoutRedis = ['**/bullmq*.spec.ts', '**/redis-*.spec.ts'].flatMap((specs) => ['--exclude', specs]);

let tarball: Awaited<ReturnType<typeof packTarball>>;
let redis: RunningRedis | undefined;

beforeAll(async () => {
  if (foundRedis.available) redis = await foundRedis.start();
  tarball = await packTarball();
});

afterAll(async () => {
  await tarball.remove();
  await redis?.stop();
});

if (!foundRedis.available) {
  const plainly = `queues and the Redis transport are not tested here: ${foundRedis.reason}`;
  it(plainly, () => {
    console.info(plainly);
    expect(foundRedis.reason).not.toBe('');
  });
}

describe.each(lines)('on Nest $nest', ({ nest, dependencies }) => {
  it(
    'every integration compiles and behaves',
    async () => {
      const packageJson = { type: 'module', dependencies, devDependencies };
      const folder = await installConsumer('integrations', tarball.path, packageJson);
      await writeExamples(join(folder, 'src', 'docs'));
      await run(folder, 'npx', ['tsc']);
      const leftOut = redis === undefined ? withoutRedis : [];
      const output = await run(folder, 'npx', ['vitest', 'run', ...leftOut], { REDIS_URL: redis?.url });
      for (const [figures] of output.matchAll(/^measured: .*$/gm)) console.info(`Nest ${nest}: ${figures}`);
      expect(await resultsIn(folder)).toMatchObject({ success: true, numPendingTests: 0 });
      await rm(folder, { recursive: true, force: true });
    },
    INSTALL_AND_RUN_MS,
  );
});

/** What docs/testing.md shows for Vitest, with the service that it tests, and what the recipes show. */
async function writeExamples(folder: string): Promise<void> {
  await mkdir(folder);
  const service = 'invoices.service.ts';
  const shown = (await examplesIn('docs/testing.md')).get(service) ?? '';
  const examples = [
    [service, shown],
    ...(await examplesIn('docs/testing.md', 'vitest')),
    ...(await examplesIn('docs/recipes/bullmq.md')),
  ] as const;
  for (const [name, code] of examples) await writeFile(join(folder, name), code);
}

async function resultsIn(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, 'results.json'), 'utf8'));
}
