/** Every integration with the package of its own, from the packed tarball, on both lines of Nest. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
      '@nestjs/common': '^11.2.10',
      '@nestjs/core': '^11.2.10',
      '@nestjs/event-emitter': '^3.1.0',
      '@nestjs/schedule': '^6.1.3',
      '@nestjs/testing': '^11.2.6',
    },
  },
  {
    nest: '12',
    dependencies: {
      ...common,
      '@nestjs/common': '^12.5.1',
      '@nestjs/core': '^12.5.1',
      '@nestjs/event-emitter': '^12.0.1',
      '@nestjs/schedule': '^12.0.2',
      '@nestjs/testing': '^12.1.1',
    },
  },
];

const devDependencies = { '@types/node': '^20', typescript: '~6.0.3', vitest: '~4.1.12' };

let tarball: Awaited<ReturnType<typeof packTarball>>;

beforeAll(async () => {
  tarball = await packTarball();
});

afterAll(async () => {
  await tarball.remove();
});

describe.each(lines)('on Nest $nest', ({ dependencies }) => {
  it('every integration compiles and behaves', async () => {
    const packageJson = { type: 'module', dependencies, devDependencies };
    const folder = await installConsumer('integrations', tarball.path, packageJson);
    await writeExamples(join(folder, 'src', 'docs'));
    await run(folder, 'npx', ['tsc']);
    await run(folder, 'npx', ['vitest', 'run']);
    expect(await resultsIn(folder)).toMatchObject({ success: true, numPendingTests: 0 });
    await rm(folder, { recursive: true, force: true });
  });
});

/** What docs/testing.md shows for Vitest, with the service that it tests. */
async function writeExamples(folder: string): Promise<void> {
  await mkdir(folder);
  const service = 'invoices.service.ts';
  const shown = (await examplesIn('docs/testing.md')).get(service) ?? '';
  const examples = [[service, shown], ...(await examplesIn('docs/testing.md', 'vitest'))] as const;
  for (const [name, code] of examples) await writeFile(join(folder, name), code);
}

async function resultsIn(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, 'results.json'), 'utf8'));
}
