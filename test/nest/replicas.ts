/** Replicas of an application on an embedded Lease API server, which starts and stops with each test. */
import type { INestApplicationContext, ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, beforeEach } from 'vitest';
import { LeaderElectionModule, type LeaderElectionModuleOptions } from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

class Root {}

/** Replicas on an embedded Lease API server that starts and stops with each test. */
export class Replicas {
  /** The running replicas, the oldest first. */
  readonly apps: INestApplicationContext[] = [];
  #server: LeaseApiServer | undefined;

  constructor() {
    beforeEach(async () => {
      this.#server = await LeaseApiServer.start();
    });
    afterEach(async () => {
      await Promise.all(this.apps.splice(0).map((app) => app.close()));
      await this.server.stop();
    });
  }

  get server(): LeaseApiServer {
    if (this.#server === undefined) throw new Error('no test runs');
    return this.#server;
  }

  /** Starts one more replica with these elections, named by `name` if it is given. */
  async start(
    elections: readonly (LeaderElectionModuleOptions & { readonly name?: string })[],
    providers: ModuleMetadata['providers'] = [],
  ): Promise<INestApplicationContext> {
    const kubernetes = { server: this.server.url };
    const imports = elections.map((election) =>
      LeaderElectionModule.forRoot({ leaseNamespace: 'default', kubernetes, ...election }),
    );
    const app = await NestFactory.createApplicationContext(
      { module: Root, imports, providers },
      { logger: false, abortOnError: false },
    );
    this.apps.push(app);
    return app;
  }

  /** Stops the oldest replica. */
  async closeFirst(): Promise<void> {
    await this.apps.shift()?.close();
  }
}
