/** What the specs of the recipes share: applications that elect a leader, and ways to strike it in the middle of its work. */
import type { INestApplicationContext, ModuleMetadata } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';
import { LeaseApiServer } from 'nestjs-leader/testing';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const LEASE = 'recipe';

/** What a recipe shows that is no module: test/package/integrations.ts writes it here. */
export function shown(name: string): string {
  return readFileSync(join(import.meta.dirname, name), 'utf8');
}

export async function leaseServer(): Promise<LeaseApiServer> {
  const server = await LeaseApiServer.start();
  onTestFinished(() => server.stop());
  return server;
}

/** One that applications find in the environment. */
export async function leaseServerOfEnvironment(): Promise<LeaseApiServer> {
  const server = await leaseServer();
  process.env['KUBECONFIG'] = await server.writeKubeconfig(join(tmpdir(), `recipe-${randomUUID()}.json`));
  return server;
}

/** What a replica of the application under test imports beside the recipe. */
export function electionOf(server: LeaseApiServer, identity: string) {
  return LeaderElectionModule.forRoot({
    leaseName: LEASE,
    leaseNamespace: 'default',
    identity,
    retryPeriod: 200,
    kubernetes: { server: server.url },
  });
}

export interface Replica {
  readonly app: INestApplicationContext;
  readonly leader: LeaderService;
}

/** One of several that elect a leader; it is closed when the test has ended. */
export async function replica(
  server: LeaseApiServer,
  identity: string,
  metadata: ModuleMetadata,
): Promise<Replica> {
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [electionOf(server, identity), ...(metadata.imports ?? [])],
  }).compile();
  module.useLogger(false);
  const app = await module.init();
  onTestFinished(() => app.close());
  return { app, leader: app.get(LeaderService) };
}

/** Hands over, so that the other leads. */
export async function handOver(from: Replica, to: Replica): Promise<void> {
  await from.leader.stepDown({ cooldown: 60_000 });
  await to.leader.whenLeader();
}

/**
 * Somebody else has the lease, for a second: the leader loses its term at once. While its work does not end it does not
 * campaign, so the other leads next.
 */
export function usurp(server: LeaseApiServer): void {
  const now = new Date().toISOString().replace('Z', '000Z');
  const spec = { holderIdentity: 'intruder', leaseDurationSeconds: 1, acquireTime: now, renewTime: now };
  server.put({ metadata: { name: LEASE }, spec });
}

/** A place in which work is held until the test lets it go on. */
export class Hold {
  #reach: () => void = () => undefined;
  #goOn: () => void = () => undefined;
  readonly reached = new Promise<void>((resolve) => {
    this.#reach = resolve;
  });
  readonly #free = new Promise<void>((resolve) => {
    this.#goOn = resolve;
  });

  /** Resolves when the test says so. */
  wait(): Promise<void> {
    this.#reach();
    return this.#free;
  }

  goOn(): void {
    this.#goOn();
  }
}
