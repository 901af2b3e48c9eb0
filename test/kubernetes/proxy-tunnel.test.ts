/** The route to an API server through a proxy, by CONNECT. */
import http from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  type KubernetesSource,
} from '../../lib/kubernetes/index.js';
import { routeTo } from '../../lib/kubernetes/access.js';
import { opensTunnel, tunnelThrough } from '../../lib/kubernetes/proxy-tunnel.js';
import { canary, keepSecret } from '../security/canary.js';
import { ConnectProxy, type ConnectProxyOptions } from './connect-proxy.js';
import { KubeconfigFolder } from './kubeconfig-file.js';
import { address, call, leaseOf } from './lease-fixtures.js';
import { ScriptedServer, answer } from './scripted-server.js';
import { TestAuthority } from './test-authority.js';

const made = TestAuthority.make();
const password = canary('of-proxy');
const never = new AbortController().signal;
const disposers: (() => unknown)[] = [];

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const dispose of disposers.splice(0)) await dispose();
});

async function proxyTo(to?: number, options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const proxy = await ConnectProxy.start('tunnel', { ...options, ...(to !== undefined && { to }) });
  disposers.push(() => proxy.stop());
  return proxy;
}

async function serverOf(...[tls]: [Parameters<typeof ScriptedServer.start>[1]?]): Promise<ScriptedServer> {
  const server = await ScriptedServer.start((_request, response) => {
    answer(response, 200, leaseOf());
  }, tls);
  disposers.push(() => server.stop());
  return server;
}

function lockFor(source: KubernetesSource): KubernetesLeaseLock {
  const connection = new KubernetesConnection(source);
  disposers.push(() => {
    connection.close();
  });
  return new KubernetesLeaseLock(connection, address);
}

/** A proxy that answers a CONNECT with these bytes and nothing else. */
async function proxyThatSays(bytes: string): Promise<URL> {
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => (bytes === '' ? socket.end() : socket.write(bytes)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  disposers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return new URL(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
}

describe('a tunnel', () => {
  it.each([
    ['api.test', 6443, 'api.test:6443'],
    ['10.0.0.1', 443, '10.0.0.1:443'],
    ['2001:db8::1', 443, '[2001:db8::1]:443'],
    ['[2001:db8::1]', 8443, '[2001:db8::1]:8443'],
  ])('to %s and %i is requested as %s', async (host, port, target) => {
    const server = await serverOf();
    const proxy = await proxyTo(server.port);
    const socket = await tunnelThrough(new URL(proxy.url))({ host, port }, never);
    socket.destroy();
    expect(proxy.targets).toEqual([target]);
    expect(proxy.headers[0]).toMatchObject({ host: target });
    expect(proxy.headers[0]).not.toHaveProperty('proxy-authorization');
  });

  it.each([
    [`me:${password}`, `me:${password}`],
    ['me', 'me:'],
    [`m%40e:${password}%2F%3a`, `m@e:${password}/:`],
    [`me:100%-${password}`, `me:100%-${password}`],
  ])('is requested with the user and password of the proxy URL: %s', async (inUrl, sent) => {
    const server = await serverOf();
    const proxy = await proxyTo(server.port);
    const socket = await tunnelThrough(new URL(proxy.urlFor(inUrl)))({ host: 'api.test', port: 1 }, never);
    socket.destroy();
    const encoded = Buffer.from(sent).toString('base64');
    expect(proxy.headers[0]?.['proxy-authorization']).toBe(`Basic ${encoded}`);
  });

  it.each([
    [undefined, false],
    [199, false],
    [200, true],
    [204, true],
    [299, true],
    [300, false],
    [407, false],
  ])('with an answer of status %s is open: %s', (status, isOpen) => {
    expect(opensTunnel(status)).toBe(isOpen);
  });

  it('is open with any 2xx', async () => {
    const server = await serverOf();
    const proxy = await proxyTo(server.port, { status: 204 });
    const socket = await tunnelThrough(new URL(proxy.url))({ host: 'api.test', port: 1 }, never);
    socket.destroy();
    expect(proxy.targets).toEqual(['api.test:1']);
  });

  it('delivers bytes that the proxy sends together with its answer', async () => {
    const proxy = await proxyThatSays('HTTP/1.1 200 OK\r\n\r\nhello');
    const socket = await tunnelThrough(proxy)({ host: 'api.test', port: 1 }, never);
    const [piece] = await new Promise<Buffer[]>((resolve) => socket.once('data', (data) => resolve([data])));
    socket.destroy();
    expect(String(piece)).toBe('hello');
  });

  it.each([
    ['HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', 'PROXY_ANSWERED_407'],
    ['HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno!', 'PROXY_ANSWERED_403'],
    ['HTTP/1.1 302 Found\r\nlocation: http://other.test\r\n\r\n', 'PROXY_ANSWERED_302'],
    ['SSH-2.0-OpenSSH_9\r\n', 'HPE_INVALID_CONSTANT'],
    ['', 'ECONNRESET'],
  ])('that is answered with %j is an error, %s', async (bytes, code) => {
    const tunnel = tunnelThrough(await proxyThatSays(bytes));
    await expect(tunnel({ host: 'api.test', port: 443 }, never)).rejects.toMatchObject({ code });
  });

  it('that is given up leaves no connection to the proxy', async () => {
    let asked: (socket: Socket) => void = () => undefined;
    const asking = new Promise<Socket>((resolve) => (asked = resolve));
    const silent = net.createServer((socket) => {
      socket.once('data', () => {
        asked(socket);
      });
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    disposers.push(() => silent.close());
    const stop = new AbortController();
    const proxy = new URL(`http://127.0.0.1:${String((silent.address() as AddressInfo).port)}`);
    const opening = tunnelThrough(proxy)({ host: 'api.test', port: 443 }, stop.signal);
    const socket = await asking;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    stop.abort();
    await expect(opening).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await closed;
  });

  it('outlives the signal with which it was opened', async () => {
    const server = await serverOf();
    const proxy = await proxyTo(server.port);
    const stop = new AbortController();
    const socket = await tunnelThrough(new URL(proxy.url))({ host: 'api.test', port: 1 }, stop.signal);
    stop.abort();
    await new Promise((resolve) => setImmediate(resolve));
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });
});

describe('a request through a proxy that refuses', () => {
  it('fails with what the proxy answered and what to check, and was not sent', async () => {
    keepSecret(password);
    const { host } = await proxyThatSays('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    vi.stubEnv('HTTPS_PROXY', `http://me:${password}@${host}`);
    vi.stubEnv('NO_PROXY', '');
    await expect(lockFor({ server: 'https://api.test' }).create(leaseRecord, call())).rejects.toMatchObject({
      code: 'LEADER_UNREACHABLE',
      maybeCommitted: false,
      message: expect.stringMatching(/\(PROXY_ANSWERED_407\)\. The proxy .*user and password/),
    });
  });
});

describe('a proxy of the environment', () => {
  it('is used for plain http, too, for requests and watches', async () => {
    const server = await serverOf();
    const proxy = await proxyTo(server.port);
    vi.stubEnv('HTTP_PROXY', proxy.url);
    vi.stubEnv('NO_PROXY', '');
    const lock = lockFor({ server: 'http://api.test:8080' });
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(await lock.get(call({ newConnection: true }))).toMatchObject({ uid: 'u1' });
    await lock.watch(() => undefined, call().signal);
    expect(proxy.targets).toEqual(['api.test:8080', 'api.test:8080', 'api.test:8080']);
  });

  it('is used for a kubeconfig, which client-node reads', async () => {
    const server = await serverOf();
    const proxy = await proxyTo(server.port);
    vi.stubEnv('http_proxy', proxy.url);
    const folder = new KubeconfigFolder();
    disposers.push(() => {
      folder.remove();
    });
    const lock = lockFor({ kubeconfigFile: folder.write({ server: 'http://api.test' }) });
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(proxy.targets).toEqual(['api.test:80']);
  });

  it('for SOCKS is used by an agent of client-node', async () => {
    const server = await serverOf();
    const socks = await SocksProxy.start(server.port);
    disposers.push(() => socks.stop());
    vi.stubEnv('HTTP_PROXY', socks.url);
    const lock = lockFor({ server: 'http://api.test:8080' });
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(await lock.get(call({ newConnection: true }))).toMatchObject({ uid: 'u1' });
    expect(socks.targets).toEqual(['api.test:8080', 'api.test:8080']);
  });
});

describe.skipIf(made === undefined)('TLS through a proxy', () => {
  const authority = made as TestAuthority;

  it.each([
    ['api.test', 'DNS:api.test'],
    ['10.9.8.7', 'IP:10.9.8.7'],
    ['[2001:db8::1]', 'IP:2001:db8::1'],
  ])('verifies the name of the server, %s, and keeps using one tunnel', async (host, name) => {
    const server = await serverOf(authority.issue('server', name));
    const proxy = await proxyTo(server.port);
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    const lock = lockFor({ server: `https://${host}:6443`, certificateAuthority: authority.ca });
    for (let turn = 0; turn < 3; turn += 1) expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    expect(proxy.targets).toEqual([`${host}:6443`]);
    const other = lockFor({ server: 'https://other.test:6443', certificateAuthority: authority.ca });
    await expect(other.get(call())).rejects.toMatchObject({
      message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
  });

  it('accepts an IPv6 address in the certificate on every connection, and no other address', async () => {
    const server = await serverOf(authority.issue('2001:db8::2', 'IP:2001:db8::1'));
    const proxy = await proxyTo(server.port);
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    const to = (host: string): KubernetesLeaseLock =>
      lockFor({ server: `https://[${host}]`, certificateAuthority: authority.ca });
    const [listed, other] = [to('2001:db8::1'), to('2001:db8::2')];
    for (const newConnection of [false, true, true]) {
      expect(await listed.get(call({ newConnection }))).toMatchObject({ uid: 'u1' });
      await expect(other.get(call({ newConnection }))).rejects.toMatchObject({
        message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
      });
    }
    expect(server.requests).toHaveLength(3);
  });

  it('verifies the name through a SOCKS proxy, too', async () => {
    const server = await serverOf(authority.issue('server', 'DNS:api.test'));
    const socks = await SocksProxy.start(server.port);
    disposers.push(() => socks.stop());
    vi.stubEnv('HTTPS_PROXY', socks.url);
    const certificateAuthority = authority.ca;
    const lock = lockFor({ server: 'https://api.test', certificateAuthority });
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
    const other = lockFor({ server: 'https://other.test', certificateAuthority });
    await expect(other.get(call())).rejects.toMatchObject({
      message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
    expect(socks.targets).toEqual(['api.test:443', 'other.test:443']);
  });

  it('trusts no https proxy whose certificate cannot be verified, whatever the environment says', async () => {
    vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const proxy = await proxyTo(1, { tls: authority.issue('proxy', 'IP:127.0.0.1') });
    const tunnel = tunnelThrough(new URL(proxy.urlFor(`me:${password}`)));
    await expect(tunnel({ host: 'api.test', port: 443 }, never)).rejects.toThrow(/certificate/);
    expect(proxy.targets).toEqual([]);
    vi.restoreAllMocks();
  });
});

it('a route has a tunnel for https, and an agent for each connection of plain http', async () => {
  const [secure, plain, proxy] = ['https://api.test', 'http://api.test', 'http://proxy.test'].map(
    (url) => new URL(url),
  ) as [URL, URL, URL];
  expect(await routeTo(secure, undefined, {})).toEqual({ tls: {}, proxied: undefined });
  expect(await routeTo(secure, proxy, {})).toEqual({
    tls: {},
    tunnel: expect.any(Function),
    proxied: undefined,
    proxy,
  });
  const { proxied, tunnel } = await routeTo(plain, proxy, {});
  expect(tunnel).toBeUndefined();
  expect(proxied?.()).toBeInstanceOf(http.Agent);
  expect(proxied?.()).not.toBe(proxied?.());
});

const leaseRecord = (leaseOf() as { spec: Parameters<KubernetesLeaseLock['create']>[0] }).spec;

/** A SOCKS 5 proxy without authentication, whose tunnels all lead to one port of this machine. */
class SocksProxy {
  readonly targets: string[] = [];
  readonly #server: net.Server;
  readonly #sockets: Socket[] = [];

  private constructor(to: number) {
    this.#server = net.createServer((client) => {
      this.#sockets.push(client);
      client.on('error', () => undefined);
      client.once('data', () => {
        client.write(Buffer.from([5, 0]));
        client.once('data', (request) => {
          this.targets.push(targetOf(request));
          const server = net.connect(to, '127.0.0.1', () => {
            client.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 1]));
            client.pipe(server).pipe(client);
          });
          server.on('error', () => client.destroy());
          client.on('close', () => server.destroy());
        });
      });
    });
  }

  static async start(to: number): Promise<SocksProxy> {
    const proxy = new SocksProxy(to);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `socks5h://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}

/** The name and port in a request of SOCKS 5. */
function targetOf(request: Buffer): string {
  const length = request[4] ?? 0;
  return `${request.toString('latin1', 5, 5 + length)}:${String(request.readUInt16BE(5 + length))}`;
}
