/** If credentials cannot be loaded, nothing is sent, and the error contains nothing that a plugin printed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LeaseRequestError } from '../../lib/election/index.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { KubeconfigFolder } from './kubeconfig-file.js';
import { address, call, leaseOf, record } from './lease-fixtures.js';
import { ScriptedServer, answer } from './scripted-server.js';

const folder = new KubeconfigFolder();
const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
const runs = join(folder.path, 'runs');
let token = 'a-token';
let server: ScriptedServer;
let connection: KubernetesConnection;

beforeEach(async () => {
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
});

function locksFor(count: number, cluster: object, user: object): KubernetesLeaseLock[] {
  connection = new KubernetesConnection({ kubeconfigFile: folder.write(cluster, user) });
  return Array.from({ length: count }, () => new KubernetesLeaseLock(connection, address));
}

/** A plugin that prints the token in a file, and counts its runs. */
function plugin(tokenFile: string): object {
  const script =
    `const fs = require('node:fs'); fs.appendFileSync(${JSON.stringify(runs)}, '.');` +
    `const token = fs.readFileSync(${JSON.stringify(tokenFile)}, 'utf8');` +
    `console.log(JSON.stringify({ kind: 'ExecCredential', status: { token, expirationTimestamp: '2999-01-01T00:00:00Z' } }))`;
  return { exec: { command: process.execPath, args: ['-e', script] } };
}

describe('credentials that cannot be loaded are an error', () => {
  const sh = (script: string): object => ({ exec: { command: process.execPath, args: ['-e', script] } });
  const rows: [string, object, object, string][] = [
    ['an authority that is missing', { 'certificate-authority': 'none.crt' }, {}, 'ENOENT'],
    ['a certificate that is missing', {}, { 'client-certificate': 'none.crt' }, 'ENOENT'],
    ['a plugin that is missing', {}, { exec: { command: 'no-such-plugin' } }, 'no-such-plugin'],
    ['a plugin that fails', {}, sh('console.error("do-not-tell"); process.exit(3)'), 'plugin'],
    ['a plugin that prints no JSON', {}, sh('console.log("do-not-tell")'), 'plugin'],
    ['a plugin that prints no credentials', {}, sh('console.log("{}")'), 'plugin'],
  ];

  it.each(rows)('for %s', async (_name, cluster, user, told) => {
    const [lock] = locksFor(1, { server: server.url, ...cluster }, user);
    const error = (await lock?.update(base, record, call()).catch((e: unknown) => e)) as LeaseRequestError;
    expect(error).toMatchObject({ code: 'LEADER_KUBECONFIG_INVALID', maybeCommitted: false });
    expect(error.message).toContain(told);
    expect(`${error.message}${String(error.cause)}`).not.toContain('do-not-tell');
    expect(server.requests).toEqual([]);
  });

  it('for an invalid key', async () => {
    const user = { 'client-certificate-data': 'aGVsbG8=', 'client-key-data': 'aGVsbG8=' };
    const [lock] = locksFor(1, { server: 'https://127.0.0.1:1' }, user);
    await expect(lock?.update(base, record, call())).rejects.toMatchObject({ maybeCommitted: false });
  });
});

describe('a token', () => {
  it('may end in a line break, as in a file', async () => {
    const path = folder.file('token', 'a-token\n');
    const provider = { name: 'tokenFile', config: { tokenFile: path } };
    const [lock] = locksFor(1, { server: server.url }, { 'auth-provider': provider });
    expect(await lock?.get(call())).toMatchObject({ uid: 'u1' });
  });
});

describe('a plugin', () => {
  it('runs once for many concurrent requests, and once more when its token is refused', async () => {
    const path = folder.file('plugin-token', 'a-token');
    const locks = locksFor(20, { server: server.url }, plugin(path));
    await Promise.all(locks.map((lock) => lock.get(call())));
    expect(readFileSync(runs, 'utf8')).toBe('.');
    token = 'another';
    folder.file('plugin-token', 'another');
    await Promise.all(locks.map((lock) => lock.get(call())));
    expect(readFileSync(runs, 'utf8')).toBe('..');
  });
});
