/** No answer of the cluster stops the application: it follows, reports what is wrong, and leads when that is corrected. */
import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { afterEach, describe, expect, it } from 'vitest';
import {
  LeaderElectionModule,
  LeaderHealthIndicator,
  LeaderService,
  getLeaderToken,
  type KubernetesOptions,
  type LeaderErrorCode,
} from '../../lib/index.js';
import { LeaseApiServer } from '../../lib/testing.js';

const open: { close(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function serverWith(options: Parameters<typeof LeaseApiServer.start>[0] = {}): Promise<LeaseApiServer> {
  const server = await LeaseApiServer.start(options);
  open.push({ close: () => server.stop() });
  return server;
}

async function application(kubernetes: KubernetesOptions): Promise<INestApplicationContext> {
  const app = await NestFactory.createApplicationContext(
    LeaderElectionModule.forRoot({
      leaseName: 'x',
      leaseNamespace: 'default',
      leaseDuration: 2_000,
      renewDeadline: 1_500,
      retryPeriod: 300,
      kubernetes,
    }),
    { logger: false },
  );
  open.push(app);
  return app;
}

/** Resolves when that error is reported. */
function told(app: INestApplicationContext, code: LeaderErrorCode): Promise<string> {
  return new Promise((resolve) => {
    app.get(LeaderService).on('error', ({ error }) => {
      if (error.code === code) resolve(error.message);
    });
  });
}

describe('a follower reports', () => {
  it('that the kubeconfig does not exist', async () => {
    const app = await application({ kubeconfigFile: '/does/not/exist' });
    expect(await told(app, 'LEADER_KUBECONFIG_INVALID')).toContain('/does/not/exist cannot be read (ENOENT)');
    // The watch fails first, which is only a hint; the read fails in the same turn.
    await new Promise(setImmediate);
    expect(app.get(LeaderHealthIndicator).isHealthy('leader')).toMatchObject({
      leader: { status: 'up', state: 'following', error: { code: 'LEADER_KUBECONFIG_INVALID' } },
    });
  });

  it('that nothing listens at the address', async () => {
    const app = await application({ server: 'http://127.0.0.1:9' });
    expect(await told(app, 'LEADER_UNREACHABLE')).toContain('ECONNREFUSED');
  });

  it('that the credentials are not accepted', async () => {
    const server = await serverWith({ tokens: { right: 'alice' } });
    const app = await application({ server: server.url, token: 'wrong' });
    expect(await told(app, 'LEADER_UNAUTHORIZED')).toContain('does not accept the credentials (401)');
  });

  it('that a permission is missing, with the rule that grants it', async () => {
    const server = await serverWith({ tokens: { right: 'alice' }, rules: [] });
    const app = await application({ server: server.url, token: 'right' });
    expect(await told(app, 'LEADER_FORBIDDEN')).toContain(
      '  - apiGroups: ["coordination.k8s.io"]\n' +
        '    resources: ["leases"]\n' +
        '    resourceNames: ["x"]\n' +
        '    verbs: ["get", "create", "update", "watch"]',
    );
  });

  it('that the namespace does not exist', async () => {
    const server = await serverWith({ namespaces: ['other'] });
    const app = await application({ server: server.url });
    expect(await told(app, 'LEADER_NAMESPACE_NOT_FOUND')).toContain('kubectl create namespace default');
  });
});

describe('on the embedded API server', () => {
  it('it leads as soon as the cause is corrected', async () => {
    const server = await serverWith();
    const fault = server.faults.add({ do: { answer: 503 } });
    const app = await application({ server: server.url });
    await told(app, 'LEADER_SERVER_ERROR');
    const leading = app.get(LeaderService).whenLeader();
    fault.remove();
    const term = await leading;
    expect(term.fencingToken).toBeGreaterThan(0n);
  });

  it('two elections of one application each have their lease', async () => {
    const server = await serverWith();
    const kubernetes = { server: server.url };
    const timing = { leaseDuration: 2_000, renewDeadline: 1_500, retryPeriod: 300 };
    const election = (name: string) =>
      LeaderElectionModule.forRoot({
        name,
        leaseName: name,
        leaseNamespace: 'default',
        kubernetes,
        ...timing,
      });
    class Root {}
    const app = await NestFactory.createApplicationContext(
      { module: Root, imports: [election('default'), election('billing')] },
      { logger: false },
    );
    open.push(app);
    await Promise.all([
      app.get(LeaderService).whenLeader(),
      app.get<LeaderService>(getLeaderToken('billing')).whenLeader(),
    ]);
    expect(server.leases.map(({ metadata }) => metadata.name).sort()).toEqual(['billing', 'default']);
  });
});
