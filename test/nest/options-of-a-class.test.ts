/** Options that are instances of a class, some of them getters, count as plain properties do. */
import { NestFactory } from '@nestjs/core';
import type { DynamicModule } from '@nestjs/common';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LeaderElectionModule, LeaderService } from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

let server: LeaseApiServer;
beforeEach(async () => {
  server = await LeaseApiServer.start();
});
afterEach(async () => {
  await server.stop();
});

class Cluster {
  get server(): string {
    return `${server.url} `;
  }
}

class Alone {
  readonly #name = 'billing';

  get leaseName(): string {
    return this.#name;
  }

  get enabled(): boolean {
    return false;
  }

  /** Of the application. */
  get isProduction(): boolean {
    return true;
  }
}

async function leads(module: DynamicModule): Promise<boolean> {
  const app = await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
  const leader = app.get(LeaderService);
  await leader.whenLeader({ signal: AbortSignal.timeout(5_000) });
  await app.close();
  return true;
}

it('returned by a factory', async () => {
  await expect(leads(LeaderElectionModule.forRootAsync({ useFactory: () => new Alone() }))).resolves.toBe(
    true,
  );
  expect(server.requests).toEqual([]);
});

it('given to forRoot', async () => {
  await expect(leads(LeaderElectionModule.forRoot(new Alone()))).resolves.toBe(true);
  expect(server.requests).toEqual([]);
});

it('for the option kubernetes', async () => {
  const options = { leaseName: 'billing', leaseNamespace: 'default', kubernetes: new Cluster() };
  await expect(leads(LeaderElectionModule.forRoot(options))).resolves.toBe(true);
  expect(server.requests).not.toEqual([]);
});
