/**
 * Real processes in which `@kubernetes/client-node` cannot be loaded, as if it were not installed: in a pod, by address, and through
 * the proxies of the environment. Their service account is a folder of the test.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubernetesSource } from '../../lib/kubernetes/index.js';
import { SERVICE_ACCOUNT_FOLDER } from '../../lib/kubernetes/pod.js';
import { ConnectProxy } from '../kubernetes/connect-proxy.js';
import { leaseOf } from '../kubernetes/lease-fixtures.js';
import { ScriptedServer, answer, type Script } from '../kubernetes/scripted-server.js';
import { ServiceAccountFolder } from '../kubernetes/service-account.js';
import { TestAuthority } from '../kubernetes/test-authority.js';
import { canary } from '../security/canary.js';
import { run } from './consumer.js';

const token = canary('of-pod');
const password = canary('of-the-proxy');
const made = TestAuthority.make();

/** Makes import() and require() of client-node fail, and redirects the files of the service account to a folder. */
const preload = (folder: string): string => `
import Module, { register, syncBuiltinESMExports } from 'node:module';
import fs from 'node:fs';
import fsPromises from 'node:fs/promises';
const missing = (name) => Object.assign(new Error('Cannot find package ' + name), { code: 'ERR_MODULE_NOT_FOUND' });
register('data:text/javascript,' + encodeURIComponent(\`
  export async function resolve(name, context, next) {
    if (name.startsWith('@kubernetes/')) throw (\${missing})(name);
    return next(name, context);
  }\`));
const resolve = Module._resolveFilename;
Module._resolveFilename = (name, ...rest) => {
  if (name.startsWith('@kubernetes/')) throw missing(name);
  return resolve(name, ...rest);
};
for (const [module, name] of [[fs, 'existsSync'], [fs, 'readFileSync'], [fsPromises, 'readFile'], [fsPromises, 'stat']]) {
  const original = module[name];
  module[name] = (path, ...rest) =>
    original(String(path).startsWith(${JSON.stringify(SERVICE_ACCOUNT_FOLDER)})
      ? String(path).replace(${JSON.stringify(SERVICE_ACCOUNT_FOLDER)}, ${JSON.stringify(folder)}) : path, ...rest);
}
syncBuiltinESMExports();
`;

/** Reads a Lease and watches it, and prints its holder, or the error. */
const reading = (source: KubernetesSource, entry = 'nestjs-leader/kubernetes'): string => `
import { createRequire } from 'node:module';
const { KubernetesConnection, KubernetesLeaseLock } = ${
  entry.endsWith('cjs')
    ? `createRequire(process.cwd() + '/')('nestjs-leader/kubernetes')`
    : `await import('${entry}')`
};
const connection = new KubernetesConnection(${JSON.stringify(source)});
const lock = new KubernetesLeaseLock(connection, { name: 'billing', namespace: 'ours', labels: {} });
const { signal } = new AbortController();
try {
  await connection.start();
  const lease = await lock.get({ signal, newConnection: false });
  await lock.watch(() => undefined, signal);
  console.log('held by', lease.record.holderIdentity);
} catch (error) {
  console.log(error.code, error.message);
}
connection.close();
`;

/** Leads with the smallest possible module, and prints that it did. */
const leading = `
import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { LeaderElectionModule, LeaderService } from 'nestjs-leader';
const module = LeaderElectionModule.forRoot({ leaseName: 'billing' });
const app = await NestFactory.createApplicationContext(module, { logger: false });
const leader = app.get(LeaderService);
await leader.whenLeader();
console.log('leads', leader.isLeader());
await app.close();
`;

/** Answers only requests with the right token. */
const admitting =
  (script: Script): Script =>
  (request, response, socket) => {
    if (request.headers.authorization === `Bearer ${token}`) return script(request, response, socket);
    answer(response, 401, { kind: 'Status', reason: 'Unauthorized' });
  };

describe.skipIf(made === undefined)('without @kubernetes/client-node', () => {
  const authority = made as TestAuthority;
  let folder: string;
  let account: ServiceAccountFolder;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-without-'));
    account = new ServiceAccountFolder({ token, 'ca.crt': authority.ca, namespace: 'ours' });
    await writeFile(join(folder, 'preload.mjs'), preload(account.path));
    await writeFile(join(folder, 'authority.crt'), authority.ca);
  });
  afterAll(() => {
    account.remove();
    rmSync(folder, { recursive: true });
    authority.remove();
  });

  const process = (script: string, env: NodeJS.ProcessEnv): Promise<string> => {
    const args = ['--import', join(folder, 'preload.mjs'), '--input-type=module', '--eval', script];
    const without = { KUBECONFIG: '', HTTPS_PROXY: '', https_proxy: '', NO_PROXY: '', POD_NAMESPACE: '' };
    return run('.', globalThis.process.execPath, args, { ...without, HOME: folder, ...env });
  };

  const withServer = async (
    names: readonly string[],
    use: (server: ScriptedServer) => Promise<void>,
    script: Script = (_request, response) => {
      answer(response, 200, leaseOf());
    },
  ): Promise<void> => {
    const server = await ScriptedServer.start(admitting(script), authority.issue('server', ...names));
    try {
      await use(server);
    } finally {
      await server.stop();
    }
  };

  it.each(['nestjs-leader/kubernetes', 'nestjs-leader/kubernetes as cjs'])(
    'a pod reads its Lease: %s',
    async (entry) => {
      await withServer(['IP:127.0.0.1'], async (server) => {
        const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(server.port) };
        expect(await process(reading({}, entry), env)).toBe('held by me\n');
        expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET']);
      });
    },
  );

  it('a Nest application in a pod leads', async () => {
    const notFound = { kind: 'Status', reason: 'NotFound', details: { kind: 'leases', name: 'billing' } };
    const use = async (server: ScriptedServer): Promise<void> => {
      const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(server.port) };
      expect(await process(leading, env)).toBe('leads true\n');
    };
    let version = 0;
    await withServer(['IP:127.0.0.1'], use, ({ method, url, body }, response) => {
      if (url.includes('watch=')) response.writeHead(200).flushHeaders();
      else if (method === 'GET') answer(response, 404, notFound);
      else if (method === 'POST') answer(response, 201, { status: { allowed: true } });
      else {
        const { metadata, ...rest } = JSON.parse(body) as { metadata: object };
        const kept = { uid: 'u1', ...metadata, resourceVersion: String(++version) };
        answer(response, 200, { ...rest, metadata: kept });
      }
    });
  });

  it('an address works, with a token or a token file', async () => {
    await withServer(['IP:127.0.0.1'], async ({ url: server }) => {
      const given = { server, certificateAuthority: authority.ca };
      for (const credentials of [{ token }, { tokenFile: join(account.path, 'token') }])
        expect(await process(reading({ ...given, ...credentials }), {})).toBe('held by me\n');
    });
  });

  it.each([
    ['http', 'api.test', 'DNS:api.test', 'api.test:6443'],
    ['https', 'api.test', 'DNS:api.test', 'api.test:6443'],
    ['http', '2001:db8::1', 'IP:2001:db8::1', '[2001:db8::1]:6443'],
  ])('a pod and an address reach the server through an %s proxy: %s', async (scheme, host, name, target) => {
    await withServer([name], async (server) => {
      const tls = scheme === 'https' ? { tls: authority.issue('proxy', 'IP:127.0.0.1') } : {};
      const proxy = await ConnectProxy.start('tunnel', { to: server.port, ...tls });
      const environment = {
        HTTPS_PROXY: proxy.urlFor(`me:${password}`),
        NODE_EXTRA_CA_CERTS: join(folder, 'authority.crt'),
      };
      const pod = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: '6443' };
      const source = { server: `https://${target}`, token, certificateAuthority: authority.ca };
      expect(await process(reading({}), { ...environment, ...pod })).toBe('held by me\n');
      expect(await process(reading(source), environment)).toBe('held by me\n');
      expect(new Set(proxy.targets)).toEqual(new Set([target]));
      const credentials = `Basic ${Buffer.from(`me:${password}`).toString('base64')}`;
      for (const headers of proxy.headers) expect(headers['proxy-authorization']).toBe(credentials);
      await proxy.stop();
    });
  });

  it.each<[string, KubernetesSource, NodeJS.ProcessEnv]>([
    ['a kubeconfig', {}, { KUBECONFIG: 'package.json' }],
    ['a SOCKS proxy', { server: 'https://api.test' }, { HTTPS_PROXY: 'socks5://127.0.0.1:9' }],
  ])('%s needs client-node, and the error says what to install', async (_name, source, env) => {
    expect(await process(reading(source), env)).toMatch(
      /^LEADER_CLIENT_UNUSABLE @kubernetes\/client-node, .*is not installed .*npm i @kubernetes\/client-node/,
    );
  });
});
