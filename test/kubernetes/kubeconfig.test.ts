/** What a kubeconfig may say, and what becomes of it: against an https server that tells what it was shown. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { makeCertificates, type Certificates } from './test-certificates.js';

interface Shown {
  readonly authorization: string | undefined;
  readonly clientName: string | undefined;
  readonly serverName: string | false | null | undefined;
}

let certificates: Certificates;
let server: Server;
let url: string;
const shown: Shown[] = [];
const sockets = new Set<Socket>();
/** What to answer; by default that there is no such lease. */
let answer = (_request: IncomingMessage): number => 404;
const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-kubeconfig-'));

beforeAll(async () => {
  certificates = makeCertificates('kubernetes.test');
  const { key, cert } = certificates.server;
  const https = createHttpsServer({
    key,
    cert,
    ca: certificates.ca,
    requestCert: true,
    rejectUnauthorized: false,
  });
  https.on('request', (request: IncomingMessage, response) => {
    const socket = request.socket as TLSSocket;
    shown.push({
      authorization: request.headers.authorization,
      clientName: (socket.getPeerCertificate() as { subject?: { CN: string } }).subject?.CN,
      serverName: (socket as TLSSocket & { servername?: string }).servername,
    });
    response.writeHead(answer(request), { 'content-type': 'application/json' });
    response.end('{}');
  });
  https.on('connection', (socket: Socket) => sockets.add(socket));
  server = https;
  await new Promise<void>((resolve) => {
    https.listen(0, '127.0.0.1', resolve);
  });
  url = `https://127.0.0.1:${String((https.address() as AddressInfo).port)}`;
});

afterEach(() => {
  shown.length = 0;
  answer = () => 404;
});

afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
  certificates.remove();
  rmSync(folder, { recursive: true, force: true });
});

const trusted = () => ({
  server: url,
  'certificate-authority': join(certificates.folder, 'ca.crt'),
  'tls-server-name': 'kubernetes.test',
});

/** A lock by a kubeconfig with that cluster and user. */
function lockBy(cluster: object, user: object, name = 'config'): KubernetesLeaseLock {
  const path = join(folder, name);
  writeFileSync(
    path,
    JSON.stringify({
      clusters: [{ name: 'c', cluster }],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  const connection = new KubernetesConnection({ kubeconfigFile: path });
  return new KubernetesLeaseLock(connection, { name: 'lease', namespace: 'default', labels: {} });
}

const call = () => ({ signal: new AbortController().signal, newConnection: false });

describe('a kubeconfig with', () => {
  it('a token and tls-server-name', async () => {
    await lockBy(trusted(), { token: 'secret' }).get(call());
    expect(shown).toEqual([
      { authorization: 'Bearer secret', clientName: undefined, serverName: 'kubernetes.test' },
    ]);
  });

  it('a client certificate', async () => {
    const user = {
      'client-certificate': join(certificates.folder, 'client.crt'),
      'client-key': join(certificates.folder, 'client.key'),
    };
    await lockBy(trusted(), user).get(call());
    expect(shown).toMatchObject([{ clientName: 'client' }]);
  });

  it('a name and a password', async () => {
    await lockBy(trusted(), { username: 'ada', password: 'x' }).get(call());
    expect(shown).toMatchObject([{ authorization: `Basic ${Buffer.from('ada:x').toString('base64')}` }]);
  });

  it('an exec plugin', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-a-plugin' },
    };
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', `console.log(${JSON.stringify(JSON.stringify(credential))})`],
      interactiveMode: 'Never',
    };
    await lockBy(trusted(), { exec }).get(call());
    expect(shown).toMatchObject([{ authorization: 'Bearer from-a-plugin' }]);
  });

  it('insecure-skip-tls-verify', async () => {
    await lockBy({ server: url, 'insecure-skip-tls-verify': true }, { token: 'secret' }).get(call());
    expect(shown).toHaveLength(1);
  });

  it('no authority that knows the server', async () => {
    await expect(lockBy({ server: url }, { token: 'secret' }).get(call())).rejects.toMatchObject({
      code: 'LEADER_UNREACHABLE',
      message: expect.stringContaining('certificate is not trusted'),
    });
    expect(shown).toEqual([]);
  });

  it('a proxy', async () => {
    const asked: string[] = [];
    const proxy = createHttpServer();
    proxy.on('connect', (request: IncomingMessage, client: Socket) => {
      asked.push(String(request.url));
      const target = connect(Number(new URL(url).port), '127.0.0.1', () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n');
        target.pipe(client).pipe(target);
      });
      sockets.add(client).add(target);
    });
    await new Promise<void>((resolve) => {
      proxy.listen(0, '127.0.0.1', resolve);
    });
    const proxyUrl = `http://127.0.0.1:${String((proxy.address() as AddressInfo).port)}`;
    const lock = lockBy({ ...trusted(), 'proxy-url': proxyUrl }, { token: 'secret' });
    await lock.get(call());
    await lock.get(call());
    expect(shown).toHaveLength(2);
    // The tunnel is kept like any other connection.
    expect(asked).toEqual([new URL(url).host]);
    proxy.close();
  });
});

describe('credentials that were refused', () => {
  it('are read anew and tried once more at once', async () => {
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'old');
    const lock = lockBy(trusted(), { 'auth-provider': { name: 'tokenFile', config: { tokenFile } } });
    await lock.get(call());
    writeFileSync(tokenFile, 'new');
    answer = ({ headers }) => (headers.authorization === 'Bearer new' ? 404 : 401);
    expect(await lock.get(call())).toBeUndefined();
    expect(shown.map(({ authorization }) => authorization)).toEqual([
      'Bearer old',
      'Bearer old',
      'Bearer new',
    ]);
  });

  it('are an error when the new ones are refused, too', async () => {
    answer = () => 401;
    await expect(lockBy(trusted(), { token: 'secret' }).get(call())).rejects.toMatchObject({
      code: 'LEADER_UNAUTHORIZED',
    });
    expect(shown).toHaveLength(2);
  });
});

describe('a kubeconfig that cannot be used', () => {
  const connect = (text: string, context?: string): Promise<void> => {
    const kubeconfigFile = join(folder, 'broken');
    writeFileSync(kubeconfigFile, text);
    return new KubernetesConnection({ kubeconfigFile, context }).start();
  };
  it.each<[string, string, string | undefined, RegExp]>([
    ['is no YAML', '{ token: "secret-in-the-file', undefined, /is not a valid one/],
    ['is empty', '', undefined, /is not a valid one|names no cluster/],
    ['names no cluster', '{"contexts":[],"clusters":[],"users":[]}', undefined, /names no cluster/],
    [
      'lacks the context asked for',
      '{"contexts":[],"clusters":[],"users":[]}',
      'prod',
      /has no context 'prod'/,
    ],
    [
      'has a server that is no URL',
      '{"contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"clusters":[{"name":"c","cluster":{"server":"nowhere"}}],"users":[{"name":"u","user":{}}],"current-context":"x"}',
      undefined,
      /server is 'nowhere'/,
    ],
  ])('%s', async (_, text, context, message) => {
    const error: unknown = await connect(text, context).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'LEADER_KUBECONFIG_INVALID',
      message: expect.stringMatching(message),
    });
    expect(String(error)).not.toContain('secret-in-the-file');
  });
});

describe('connections', () => {
  it('200 leases share at most three', async () => {
    const before = sockets.size;
    const path = join(folder, 'shared');
    lockBy(trusted(), { token: 'secret' }, 'shared');
    const shared = new KubernetesConnection({ kubeconfigFile: path });
    const locks = Array.from(
      { length: 200 },
      (_, index) =>
        new KubernetesLeaseLock(shared, { name: `lease-${String(index)}`, namespace: 'default', labels: {} }),
    );
    await Promise.all(locks.map((lock) => lock.get(call())));
    await Promise.all(locks.map((lock) => lock.get(call())));
    expect(shown).toHaveLength(400);
    expect(sockets.size - before).toBeLessThanOrEqual(3);
  });

  it('a request under way does not hold up one that asks for a new connection', async () => {
    const lock = lockBy(trusted(), { token: 'secret' });
    const before = sockets.size;
    await lock.get(call());
    await lock.get(call());
    await lock.get({ ...call(), newConnection: true });
    expect(sockets.size - before).toBe(2);
  });
});
