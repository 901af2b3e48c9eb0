/** A kubeconfig's credential plugin runs again when its credentials expire or are refused, and once for all waiting requests. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { canary } from '../security/canary.js';
import { ConnectProxy } from './connect-proxy.js';
import { KubeconfigFolder, embedded } from './kubeconfig-file.js';
import { address, call, leaseOf, record } from './lease-fixtures.js';
import { ScriptedServer, answer } from './scripted-server.js';
import { TestAuthority } from './test-authority.js';

const folder = new KubeconfigFolder();
const made = TestAuthority.make();
const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
const runs = join(folder.path, 'runs');
const printed = join(folder.path, 'printed');
let token = canary('plugin');
let server: ScriptedServer;
let connection: KubernetesConnection;

beforeEach(async () => {
  token = canary('plugin');
  writeFileSync(runs, '');
  server = await ScriptedServer.start(({ headers }, response) => {
    if (headers.authorization === `Bearer ${token}`) answer(response, 200, leaseOf());
    else answer(response, 401, { kind: 'Status', reason: 'Unauthorized' });
  });
});
afterEach(async () => {
  connection.close();
  await server.stop();
});
afterAll(() => {
  folder.remove();
  made?.remove();
});

/** What the plugin prints from now on. */
function print(status: object): void {
  writeFileSync(printed, JSON.stringify({ kind: 'ExecCredential', status }));
}

function timesRun(): number {
  return readFileSync(runs, 'utf8').length;
}

/** A plugin that notes each run, waits for `gate` if one is given, and prints the prepared output. */
function plugin(gate?: string): object {
  const script =
    `const fs = require('node:fs'); fs.appendFileSync(${JSON.stringify(runs)}, '.');` +
    `const print = () => process.stdout.write(fs.readFileSync(${JSON.stringify(printed)}));` +
    (gate === undefined ? 'print();' : `fetch(${JSON.stringify(gate)}).then(print);`);
  return { command: process.execPath, args: ['-e', script] };
}

function locksFor(count: number, user: object, cluster: object = {}): KubernetesLeaseLock[] {
  const kubeconfigFile = folder.write({ server: server.url, ...cluster }, user);
  connection = new KubernetesConnection({ kubeconfigFile });
  return Array.from({ length: count }, () => new KubernetesLeaseLock(connection, address));
}

function lockFor(user: object, cluster: object = {}): KubernetesLeaseLock {
  return locksFor(1, user, cluster)[0] as KubernetesLeaseLock;
}

describe('credentials of a plugin', () => {
  it.each<[string, object]>([
    ['no expiry', {}],
    ['an expiry of null', { expirationTimestamp: null }],
    ['an empty expiry', { expirationTimestamp: '' }],
    ['an expiry far away', { expirationTimestamp: '2999-01-01T00:00:00Z' }],
  ])('with %s are used until they are refused', async (_name, expiry) => {
    print({ token, ...expiry });
    const lock = lockFor({ exec: plugin() });
    for (let turn = 0; turn < 10; turn += 1) {
      await lock.get(call());
      await lock.update(base, record, call());
    }
    await lock.watch(() => undefined, call().signal);
    expect(timesRun()).toBe(1);

    token = canary('plugin-later');
    print({ token, ...expiry });
    for (let turn = 0; turn < 5; turn += 1) expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(timesRun()).toBe(2);
  });

  it('are renewed when they have expired', async () => {
    print({ token, expirationTimestamp: '2001-01-01T00:00:00Z' });
    const lock = lockFor({ exec: plugin() });
    await lock.get(call());
    await lock.get(call());
    expect(timesRun()).toBe(2);
  });

  it('may come from a plugin in the older form of auth-provider', async () => {
    print({ token });
    const lock = lockFor({ 'auth-provider': { name: 'exec', config: { exec: plugin() } } });
    for (let turn = 0; turn < 5; turn += 1) await lock.get(call());
    expect(timesRun()).toBe(1);
  });

  it('are renewed once for all requests that are refused at the same time', async () => {
    print({ token });
    const locks = locksFor(20, { exec: plugin() });
    await Promise.all(locks.map((lock) => lock.get(call())));
    expect(timesRun()).toBe(1);
    token = canary('plugin-later');
    print({ token });
    await Promise.all(locks.map((lock) => lock.get(call())));
    expect(timesRun()).toBe(2);
  });

  it('are shared by requests through a proxy', async () => {
    print({ token });
    const proxy = await ConnectProxy.start();
    const locks = locksFor(10, { exec: plugin() }, { 'proxy-url': proxy.url });
    await Promise.all(locks.map((lock) => lock.get(call())));
    expect(timesRun()).toBe(1);
    await proxy.stop();
  });

  it('of a slow plugin are used by later requests: its run continues when the first request is given up', async () => {
    print({ token });
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const gate = await ScriptedServer.start(async (_request, response) => {
      await opened;
      response.end();
    });
    const lock = lockFor({ exec: plugin(gate.url) });
    const patience = new AbortController();
    const first = lock.get({ ...call(), signal: patience.signal });
    await gate.arrived(1);
    patience.abort();
    await expect(first).rejects.toMatchObject({ code: 'LEADER_REQUEST_TIMEOUT', maybeCommitted: false });
    const second = lock.get(call());
    open();
    expect(await second).toMatchObject({ uid: 'u1' });
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(timesRun()).toBe(1);
    await gate.stop();
  });

  it('that could not be loaded are asked for again by the next request', async () => {
    print({});
    const lock = lockFor({ exec: plugin() });
    await expect(lock.get(call())).rejects.toMatchObject({
      code: 'LEADER_KUBECONFIG_INVALID',
      message: expect.stringContaining('printed no ExecCredential'),
    });
    print({ token });
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(timesRun()).toBe(2);
  });

  it('come from a plugin whose relative path starts in the folder of the kubeconfig, as in kubectl', async () => {
    mkdirSync(join(folder.path, 'of plugins'));
    const path = folder.file('of plugins/plugin', `#!/bin/sh\necho '{"status":{"token":"${token}"}}'\n`);
    chmodSync(path, 0o700);
    for (const command of ['./of plugins/plugin', 'of plugins/plugin', path])
      expect(await lockFor({ exec: { command } }).get(call())).toMatchObject({ uid: 'u1' });
    const missing = lockFor({ exec: { command: './none' } }).get(call());
    await expect(missing).rejects.toMatchObject({
      message: expect.stringContaining('plugin ./none cannot be run (ENOENT)'),
    });
    const nameless = lockFor({ exec: { args: [] } }).get(call());
    await expect(nameless).rejects.toMatchObject({
      message: expect.stringContaining('plugin has no command'),
    });
  });

  it('come from a plugin that gets the variables of the kubeconfig and an empty standard input', async () => {
    const script =
      `let typed = ''; process.stdin.on('data', (data) => (typed += data)).on('end', () => ` +
      `console.log(JSON.stringify({ status: { token: process.env.OF_KUBECONFIG + typed } })))`;
    const env = [{ name: 'OF_KUBECONFIG', value: token }];
    const lock = lockFor({ exec: { command: process.execPath, args: ['-e', script], env } });
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
  });
});

if (made === undefined) {
  describe('a certificate of a plugin', () => {
    it('is not tested here: there is no openssl to make certificates with', () => {
      expect(existsSync(printed)).toBe(true);
    });
  });
} else {
  describe('a certificate of a plugin', () => {
    it('is sent to the server, and used until it is refused', async () => {
      const names: string[] = [];
      const serving = made.issue('server', 'IP:127.0.0.1');
      await server.stop();
      server = await ScriptedServer.start(
        (_request, response, socket) => {
          names.push(String((socket as TLSSocket).getPeerCertificate().subject.CN));
          answer(response, 200, leaseOf());
        },
        { ...serving, ca: made.ca, requestCert: true, rejectUnauthorized: true },
      );
      const alice = made.issue('alice');
      print({ clientCertificateData: alice.cert, clientKeyData: alice.key });
      const lock = lockFor({ exec: plugin() }, { 'certificate-authority-data': embedded(made.ca) });
      for (let turn = 0; turn < 3; turn += 1) await lock.get(call());
      expect(names).toEqual(['alice', 'alice', 'alice']);
      expect(timesRun()).toBe(1);
    });
  });
}
