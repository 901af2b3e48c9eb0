/**
 * Broken set-ups, each with what it shows: the words in it must lead to the entry of docs/troubleshooting.md that names the
 * cause. `SHOWN_FOLDER=folder npx vitest run test/troubleshooting` writes what was shown.
 */
import { Injectable } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { OnlyWhenLeader } from '../../lib/index.js';
import { LeaseApiServer, type LeaseApiServerOptions } from '../../lib/testing.js';
import { httpProxy, type HttpProxy } from './http-proxy.js';
import { Night, type Replica } from './night.js';

let server: LeaseApiServer;
let night: Night;
let proxy: HttpProxy | undefined;
const undo: (() => void)[] = [];

async function begin(options: LeaseApiServerOptions = {}): Promise<void> {
  await server.stop();
  server = await LeaseApiServer.start(options);
}

/** Starts a replica of an application on the lease 'jobs', with the identity that it has in a pod. */
function start(
  name: string,
  options: object = {},
  providers: Parameters<Night['replica']>[2] = [],
): Promise<Replica> {
  const kubernetes = { server: proxy?.url ?? server.url };
  return night.replica(
    name,
    { leaseName: 'jobs', identity: `${name}_5f0c91ab`, kubernetes, ...options },
    providers,
  );
}

/** What whoever is woken calls first: `doctor` with the options and the credentials of a replica, and `status`. */
async function look(token?: string, ...options: readonly string[]): Promise<void> {
  const kubeconfig = server.kubeconfig({ token }).replaceAll(server.url, proxy?.url ?? server.url);
  const times = ['--lease-duration', '2s', '--renew-deadline', '1s', '--retry-period', '200ms'];
  await night.command(kubeconfig, 'doctor', 'jobs', ...times, '--observe', '1s', ...options);
  await night.command(kubeconfig, 'status');
}

beforeEach(async () => {
  server = await LeaseApiServer.start();
  night = new Night();
  proxy = undefined;
});
afterEach(async () => {
  for (const step of undo.splice(0)) step();
  vi.restoreAllMocks();
  await night.end();
  await proxy?.close();
  await server.stop();
});

describe('a wrong Role', () => {
  const verbs = ['get', 'create', 'update', 'watch'] as const;
  const tokens = { 'billing-token': 'billing' };

  it.each([
    ['without update', verbs.filter((verb) => verb !== 'update'), 'update'],
    ['without get', verbs.filter((verb) => verb !== 'get'), 'get'],
    ['with nothing', [], 'get'],
  ])('%s names the verb, and nobody leads', async (_, granted, missing) => {
    await begin({ tokens, rules: [{ user: 'billing', verbs: granted, resourceNames: ['jobs'] }] });
    const kubernetes = { server: server.url, token: 'billing-token' };
    await start('billing-7c5d9-k2xlp', { kubernetes, preflight: 'warn' });
    await night.line(new RegExp(`LEADER_PERMISSION_MISSING: .*${missing} on leases`));
    // The first write is a PUT that creates the Lease, for which the API server asks for both rights.
    await night.line(/LEADER_FORBIDDEN: .*does not permit (get|create|update) on leases/);
    await look('billing-token');
    const shown = await night.shown();
    expect(shown.metrics).toContain('code="LEADER_FORBIDDEN"');
    expect(shown.health).toMatch(/"status":"up","state":"following".*"code":"LEADER_FORBIDDEN"/);
    expect(shown.log).not.toContain('Leading');
    shown.leadsTo('LEADER_FORBIDDEN', /wrong Role or RoleBinding/);
    shown.leadsTo('LEADER_PERMISSION_MISSING', /wrong Role or RoleBinding/);
    expect(shown.printed).toMatch(new RegExp(`fail +permissions .*: .*${missing}`));
    shown.keep(1);
  });
});

it('a wall clock that is set ahead: the line before the loss says so', async () => {
  await start('billing-7c5d9-k2xlp');
  await start('billing-7c5d9-m8qzt');
  await night.led();
  const { now } = Date;
  vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
  await night.line(/Lost 'jobs' as .*: deadline/);
  await look();
  const shown = await night.shown();
  expect(shown.log).toMatch(/LEADER_CLOCK_JUMPED: .* by 36\d\d(\.\d)? s.*\n.*Lost 'jobs' .*: deadline/);
  expect(shown.metrics).toContain('code="LEADER_CLOCK_JUMPED"');
  shown.leadsTo('LEADER_CLOCK_JUMPED', /wall clock was set ahead .* or the machine was suspended/);
  shown.keep(2);
});

describe('two fleets on one Lease', () => {
  it('of this package: the leader is none of the own replicas', async () => {
    await start('shop-5d8f6-w4t7c');
    await night.line(/Leading 'jobs' as shop/);
    await start('billing-7c5d9-k2xlp');
    await start('billing-7c5d9-m8qzt');
    await night.line(/k2xlp.* 'jobs' is led by shop-5d8f6-w4t7c/);
    await night.line(/m8qzt.* 'jobs' is led by shop-5d8f6-w4t7c/);
    await look();
    const shown = await night.shown();
    expect(shown.health).toMatch(/billing.*"leader":"shop-5d8f6-w4t7c_5f0c91ab"/);
    expect(shown.metrics).toMatch(/shop[^#]*master_status.* 1\n/);
    expect(shown.printed).toMatch(/jobs +shop-5d8f6-w4t7c_5f0c91ab +held/);
    shown.leadsTo('is led by', /two fleets on one Lease: another application/);
    shown.keep(3);
  });

  it('of which one is of client-go, with its own times: they differ', async () => {
    const renew = (): void => {
      const time = new Date().toISOString().replace('Z', '000Z');
      const spec = {
        holderIdentity: 'ledger-0_8d2f',
        leaseDurationSeconds: 15,
        acquireTime: '2026-01-01T00:00:00.000000Z',
        renewTime: time,
        leaseTransitions: 2,
      };
      server.put({ metadata: { name: 'jobs' }, spec });
    };
    renew();
    const timer = setInterval(renew, 500);
    undo.push(() => {
      clearInterval(timer);
    });
    await start('billing-7c5d9-k2xlp');
    await night.line(/LEADER_DURATIONS_DIFFER: 'ledger-0_8d2f' holds .* of 15 s, but .* 2 s/);
    await look();
    const shown = await night.shown();
    expect(shown.health).toMatch(/"leader":"ledger-0_8d2f".*"code":"LEADER_DURATIONS_DIFFER"/);
    shown.leadsTo('LEADER_DURATIONS_DIFFER', /two fleets use one Lease: another application/);
    expect(shown.printed).toContain("'ledger-0_8d2f' is not a process of nestjs-leader");
    shown.leadsTo('is led by', /two fleets on one Lease/);
    shown.keep(12);
  });
});

it('a blocked event loop: the line before the loss says for how long', async () => {
  await start('billing-7c5d9-k2xlp');
  await night.led();
  const until = performance.now() + 2_500;
  while (performance.now() < until) JSON.parse('[1]');
  await night.line(/Lost 'jobs' as .*: deadline/);
  await look();
  const shown = await night.shown();
  expect(shown.log).toMatch(
    /LEADER_PROCESS_PAUSED: This process did not run for \d(\.\d)? s.*\n.*Lost 'jobs'/,
  );
  expect(shown.metrics).toContain('code="LEADER_PROCESS_PAUSED"');
  shown.leadsTo('LEADER_PROCESS_PAUSED', /blocked event loop/);
  shown.keep(4);
});

it('a token that has expired: the leader is refused, and loses its term', async () => {
  await start('billing-7c5d9-k2xlp', { kubernetes: { server: server.url, token: 'expired-token' } });
  await night.led();
  server.faults.add({ do: { answer: 401 } });
  await night.line(/LEADER_UNAUTHORIZED/);
  await night.line(/Lost 'jobs' as .*: deadline/);
  await look();
  const shown = await night.shown();
  expect(shown.health).toContain('"code":"LEADER_UNAUTHORIZED"');
  expect(shown.metrics).toContain('code="LEADER_UNAUTHORIZED"');
  expect(shown.all).not.toContain('expired-token');
  shown.leadsTo('LEADER_UNAUTHORIZED', /the token has expired or was revoked/);
  shown.keep(5);
});

describe('a proxy that does not let watches through', () => {
  it.each([
    ['refuse', 'LEADER_WATCH_DENIED', /a proxy or gateway on the way does not let watches through/],
    ['cut', 'LEADER_WATCH_BROKEN', /a proxy, gateway or load balancer on the way cuts or buffers/],
    ['buffer', 'LEADER_WATCH_BROKEN', /a proxy, gateway or load balancer on the way cuts or buffers/],
  ] as const)('%s: the lease is polled, and the code says why', async (treatment, code, cause) => {
    proxy = await httpProxy(server.url, treatment);
    await start('billing-7c5d9-k2xlp');
    await night.led();
    await start('billing-7c5d9-m8qzt');
    await night.line(new RegExp(`k2xlp.*${code}`));
    await night.line(new RegExp(`m8qzt.*${code}`));
    // For the others the doctor waits 5 s for an event.
    if (treatment === 'refuse') await look();
    const shown = await night.shown();
    if (treatment === 'refuse') {
      expect(shown.printed).toMatch(/^ok +permissions /m);
      expect(shown.printed).toContain('If they are ok: a proxy or gateway on the way refuses watches.');
    }
    expect(shown.health).toContain(`"code":"${code}"`);
    expect(shown.metrics).toContain(`code="${code}"`);
    // Neither the page of the proxy nor a recovery that is none.
    expect(shown.all).not.toContain('Blocked by policy');
    expect(shown.log).not.toContain(`recovered (${code})`);
    shown.leadsTo(code, cause);
    if (treatment !== 'buffer') shown.keep(treatment === 'refuse' ? 6 : 11);
  });
});

it('work that never ends keeps the lease, and is counted', async () => {
  let end = (): void => undefined;
  const never = new Promise<void>((resolve) => {
    end = resolve;
  });
  undo.push(end);
  @Injectable()
  class Invoices {
    @OnlyWhenLeader()
    sendAll(): Promise<void> {
      return never;
    }
  }
  const { app, stop } = await start('billing-7c5d9-k2xlp', { drainTimeout: 1_500 }, [Invoices]);
  await night.led();
  await start('billing-7c5d9-m8qzt');
  void app.get(Invoices).sendAll();
  void stop();
  await night.line(/Handing over 'jobs' .*: waits up to 1.5 s for 1 gated call/);
  await night.line(/LEADER_DRAIN_TIMEOUT/);
  await look();
  const shown = await night.shown();
  expect(shown.health).toMatch(/k2xlp.*"state":"handingOver"/);
  expect(shown.metrics).toContain('code="LEADER_DRAIN_TIMEOUT"');
  expect(shown.log).not.toMatch(/Leading 'jobs' as billing-7c5d9-m8qzt/);
  shown.leadsTo('LEADER_DRAIN_TIMEOUT', /gated work that never ends/);
  shown.leadsTo('Handing over', /gated work still runs/);
  shown.keep(7);
  end();
  await night.line(/Handed over 'jobs' as billing-7c5d9-k2xlp/);
});

it('more slots than replicas: those that lead another name the slot without a leader', async () => {
  for (const name of ['billing-7c5d9-k2xlp', 'billing-7c5d9-m8qzt']) await start(name, { slots: 3 });
  await night.line(/k2xlp.*LEADER_SLOT_UNLED: Nobody has led 'jobs-\d' for 4 s/);
  await night.line(/m8qzt.*LEADER_SLOT_UNLED: Nobody has led 'jobs-\d' for 4 s/);
  await look(undefined, '--slots', '3');
  const shown = await night.shown();
  expect(shown.metrics).toMatch(/errors_total\{.*name="jobs-\d",.*code="LEADER_SLOT_UNLED".*\} 1/);
  expect(shown.printed).toMatch(/^skip +fleet +Nobody holds the lease 'jobs-\d'\.$/m);
  shown.leadsTo('LEADER_SLOT_UNLED', /more `slots` than replicas/);
  shown.keep(8);
});

it('different durations in one fleet are named', async () => {
  await start('billing-7c5d9-k2xlp', { leaseDuration: 6_000 });
  await night.led();
  await start('billing-55b4f-h6rsn');
  await night.line(/LEADER_DURATIONS_DIFFER: 'billing-7c5d9-k2xlp_5f0c91ab' holds .* of 6 s, but .* is 2 s/);
  await look();
  const shown = await night.shown();
  expect(shown.health).toMatch(/h6rsn: .*"code":"LEADER_DURATIONS_DIFFER"/);
  expect(shown.metrics).toContain('code="LEADER_DURATIONS_DIFFER"');
  expect(shown.printed).toContain("'billing-7c5d9-k2xlp_5f0c91ab' writes a duration of 6 s");
  shown.leadsTo('LEADER_DURATIONS_DIFFER', /different timing options: a rollout/);
  shown.keep(9);
});

describe('namesakes', () => {
  it.each([false, true])('are named by the follower (reclaimOwnLease: %s)', async (reclaimOwnLease) => {
    for (const name of ['billing-7c5d9-k2xlp', 'billing-7c5d9-m8qzt'])
      await start(name, { identity: 'billing', reclaimOwnLease });
    await night.line(/LEADER_NAMESAKE: Another process with the identity 'billing'/);
    await look();
    const shown = await night.shown();
    expect(shown.metrics).toContain('code="LEADER_NAMESAKE"');
    shown.leadsTo('LEADER_NAMESAKE', /two processes have the same `identity`: namesakes/);
    if (reclaimOwnLease) return;
    expect(shown.health).toMatch(
      /"state":"following","identity":"billing","leader":"billing".*"LEADER_NAMESAKE"/,
    );
    shown.keep(10);
  });
});
