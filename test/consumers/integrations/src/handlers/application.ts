/** Applications whose election a test decides, and which are closed when it ends. */
import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test, type TestingModule } from '@nestjs/testing';
import { getElectorToken } from 'nestjs-leader';
import { LeaderElectionTestingModule, type ScriptedElector } from 'nestjs-leader/testing';
import { createServer, type AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Tested {
  readonly app: INestApplication;
  /** It follows until `elector.grant()`. */
  readonly elector: ScriptedElector;
  /** What Nest logged as an error. */
  readonly errors: unknown[];
}

export const adapters: [name: string, make: () => ExpressAdapter][] = [
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter() as unknown as ExpressAdapter],
];

export function compiled(metadata: ModuleMetadata): Promise<TestingModule> {
  return Test.createTestingModule({
    ...metadata,
    imports: [LeaderElectionTestingModule.forRoot(), ...(metadata.imports ?? [])],
  }).compile();
}

/** An application that is not started yet. */
export async function prepared(metadata: ModuleMetadata, adapter = new ExpressAdapter()): Promise<Tested> {
  const module = await compiled(metadata);
  const errors: unknown[] = [];
  const nothing = (): void => undefined;
  const logger = { log: nothing, warn: nothing, error: (...told: unknown[]) => errors.push(told) };
  const app = module.createNestApplication(adapter, { logger });
  onTestFinished(() => app.close());
  return { app, elector: app.get(getElectorToken()), errors };
}

/** An application that has started. */
export async function application(metadata: ModuleMetadata): Promise<Tested> {
  const tested = await prepared(metadata);
  await tested.app.init();
  return tested;
}

/** An application that listens, and where. */
export async function listening(
  metadata: ModuleMetadata,
  adapter?: ExpressAdapter,
): Promise<Tested & { url: string }> {
  const tested = await prepared(metadata, adapter);
  await tested.app.listen(0, '127.0.0.1');
  return { ...tested, url: await tested.app.getUrl() };
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
