/** Every integration with the package of its own, from the packed tarball, on both lines of Nest. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installConsumer, packTarball, run } from './consumer.js';

const common = {
  'reflect-metadata': '^0.2.2',
  rxjs: '^7.8.1',
  '@kubernetes/client-node': '~1.4.0',
  '@apollo/server': '^5.0.0',
  '@as-integrations/express5': '^1.0.0',
  graphql: '^16.11.0',
  'graphql-ws': '^6.0.0',
  'socket.io-client': '^4.8.0',
  ws: '^8.18.0',
};

const lines = [
  {
    nest: '11',
    dependencies: {
      ...common,
      '@nestjs/apollo': '^13.4.5',
      '@nestjs/common': '^11.2.10',
      '@nestjs/core': '^11.2.10',
      '@nestjs/cqrs': '^11.0.0',
      '@nestjs/event-emitter': '^3.1.0',
      '@nestjs/graphql': '^13.4.5',
      '@nestjs/microservices': '^11.2.6',
      '@nestjs/platform-express': '^11.2.10',
      '@nestjs/platform-fastify': '^11.2.8',
      '@nestjs/platform-socket.io': '^11.2.6',
      '@nestjs/schedule': '^6.1.3',
      '@nestjs/swagger': '^11.0.0',
      '@nestjs/testing': '^11.2.6',
      '@nestjs/websockets': '^11.2.6',
    },
  },
  {
    nest: '12',
    dependencies: {
      ...common,
      '@nestjs/apollo': '^14.0.3',
      '@nestjs/common': '^12.5.1',
      '@nestjs/core': '^12.5.1',
      '@nestjs/cqrs': '^12.0.0',
      '@nestjs/event-emitter': '^12.0.1',
      '@nestjs/graphql': '^14.0.3',
      '@nestjs/microservices': '^12.1.1',
      '@nestjs/platform-express': '^12.5.1',
      '@nestjs/platform-fastify': '^12.5.0',
      '@nestjs/platform-socket.io': '^12.1.1',
      '@nestjs/schedule': '^12.0.2',
      '@nestjs/swagger': '^12.0.2',
      '@nestjs/testing': '^12.1.1',
      '@nestjs/websockets': '^12.1.1',
    },
  },
];

const devDependencies = { '@types/node': '^20', '@types/ws': '^8', typescript: '~6.0.3', vitest: '~4.1.12' };

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
    await run(folder, 'npx', ['tsc']);
    await run(folder, 'npx', ['vitest', 'run']);
    expect(await resultsIn(folder)).toMatchObject({ success: true, numPendingTests: 0 });
    await rm(folder, { recursive: true, force: true });
    // Hundreds of packages to install, perhaps on a busy machine.
  }, 600_000);
});

async function resultsIn(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(join(folder, 'results.json'), 'utf8'));
}
