/** All forms of credentials, authorities and proxies in a kubeconfig. */
import { rootCertificates, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { LeaseRequestError } from '../../lib/election/index.js';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  type KubernetesSource,
} from '../../lib/kubernetes/index.js';
import { TestAuthority } from './test-authority.js';
import { ConnectProxy } from './connect-proxy.js';
import { KubeconfigFolder, embedded } from './kubeconfig-file.js';
import { address, call, leaseOf, record } from './lease-fixtures.js';
import { ScriptedServer, answer, type Script } from './scripted-server.js';

const folder = new KubeconfigFolder();
const made = TestAuthority.make();
const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
const leased: Script = (_request, response) => {
  answer(response, 200, leaseOf());
};

let server: ScriptedServer;
let connection: KubernetesConnection;

afterEach(async () => {
  connection.close();
  await server.stop();
});
afterAll(() => {
  folder.remove();
  made?.remove();
});

function lockFor(source: KubernetesSource): KubernetesLeaseLock {
  connection = new KubernetesConnection(source);
  return new KubernetesLeaseLock(connection, address);
}

/** Accepts only the current token. */
function admitting(token: () => string): Script {
  return ({ headers }, response) => {
    if (headers.authorization === `Bearer ${token()}`) answer(response, 200, leaseOf());
    else answer(response, 401, { kind: 'Status', reason: 'Unauthorized', code: 401 });
  };
}

describe('a token', () => {
  const tokenFile = (path: string): object => ({
    'auth-provider': { name: 'tokenFile', config: { tokenFile: path } },
  });

  it('in a file is read again, once, when it is refused', async () => {
    let valid = 'old';
    server = await ScriptedServer.start(admitting(() => valid));
    const path = folder.file('token', 'old');
    const lock = lockFor({ kubeconfigFile: folder.write({ server: server.url }, tokenFile(path)) });
    await lock.get(call());
    valid = 'new';
    folder.file('token', 'new');
    expect(await lock.update(base, record, call())).toMatchObject({ kind: 'written' });
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'PUT', 'PUT']);

    valid = 'newest';
    await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_UNAUTHORIZED' });
    expect(server.requests).toHaveLength(5);
  });

  it('in a tokenFile is read again at once when it is refused, and the request is repeated if the token is new', async () => {
    let valid = 'old';
    server = await ScriptedServer.start(admitting(() => valid));
    const tokenFile = folder.file('token-of-address', 'old\n');
    const lock = lockFor({ server: server.url, tokenFile });
    await lock.get(call());
    valid = 'new';
    folder.file('token-of-address', 'new\n');
    await lock.get(call());
    await expect(lock.watch(() => undefined, call().signal)).resolves.toBeUndefined();
    const all = server.requests.map(({ headers }) => headers.authorization);
    expect(all).toEqual(['Bearer old', 'Bearer old', 'Bearer new', 'Bearer new']);

    valid = 'newest';
    await expect(lock.get(call())).rejects.toMatchObject({ code: 'LEADER_UNAUTHORIZED' });
    expect(server.requests).toHaveLength(5);
    folder.file('token-of-address', '\n');
    await expect(lock.get(call())).rejects.toMatchObject({
      code: 'LEADER_KUBECONFIG_INVALID',
      message: expect.stringContaining('kubernetes.tokenFile contains no token'),
    });
  });

  it('that is refused is not sent again, and the error says how to make it replaceable', async () => {
    server = await ScriptedServer.start(admitting(() => 'new'));
    const lock = lockFor({ server: server.url, token: 'old' });
    await expect(lock.get(call())).rejects.toMatchObject({
      code: 'LEADER_UNAUTHORIZED',
      message: expect.stringContaining('A kubernetes.token cannot be replaced'),
    });
    expect(server.requests).toHaveLength(1);
  });

  it('in a missing file is an error without the path, which may be the token itself', async () => {
    const lock = lockFor({ server: 'https://127.0.0.1:9', tokenFile: 'hunter2' });
    const error: unknown = await lock.get(call()).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'LEADER_KUBECONFIG_INVALID',
      message: expect.stringContaining('tokenFile cannot be read (ENOENT)'),
    });
    expect(`${(error as Error).message}${String((error as Error).cause)}`).not.toContain('hunter2');
  });

  it('in a file is read again for a watch, too', async () => {
    let valid = 'old';
    server = await ScriptedServer.start(admitting(() => valid));
    const path = folder.file('token-of-watch', 'old');
    const lock = lockFor({ kubeconfigFile: folder.write({ server: server.url }, tokenFile(path)) });
    await lock.get(call());
    valid = 'new';
    folder.file('token-of-watch', 'new');
    await expect(lock.watch(() => undefined, call().signal)).resolves.toBeUndefined();
  });

  it('from a plugin is asked for again when it is refused', async () => {
    let valid = 'old';
    server = await ScriptedServer.start(admitting(() => valid));
    const path = folder.file('plugin-token', 'old');
    const script =
      `const token = require('node:fs').readFileSync(${JSON.stringify(path)}, 'utf8');` +
      `console.log(JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential',` +
      `status: { token, expirationTimestamp: '2999-01-01T00:00:00Z' } }));`;
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', script],
    };
    const lock = lockFor({ kubeconfigFile: folder.write({ server: server.url }, { exec }) });
    await lock.get(call());
    valid = 'new';
    folder.file('plugin-token', 'new');
    expect(await lock.get(call())).toMatchObject({ uid: 'u1' });
  });

  it.each([`do-not-tell\nx`, 'do-not-tell…', 'do-not-tell\u0000x'])(
    'that an HTTP header cannot contain is an error, and is not sent: %j',
    async (token) => {
      server = await ScriptedServer.start(leased);
      const lock = lockFor({ kubeconfigFile: folder.write({ server: server.url }, { token }) });
      const error = (await lock.get(call()).catch((thrown: unknown) => thrown)) as LeaseRequestError;
      expect(error).toMatchObject({
        code: 'LEADER_KUBECONFIG_INVALID',
        message: expect.stringContaining('an HTTP header cannot contain'),
        maybeCommitted: false,
      });
      expect(`${error.message}${String(error.cause)}${JSON.stringify(error)}`).not.toContain('do-not-tell');
      expect(server.requests).toHaveLength(0);
    },
  );

  it('is never shown in an error', async () => {
    server = await ScriptedServer.start(admitting(() => 'another'));
    const lock = lockFor({ server: server.url, token: 'do-not-tell' });
    const error = (await lock.get(call()).catch((thrown: unknown) => thrown)) as LeaseRequestError;
    expect(error.code).toBe('LEADER_UNAUTHORIZED');
    expect(`${error.message}${String(error.cause)}${JSON.stringify(error)}`).not.toContain('do-not-tell');
  });
});

describe('basic authentication', () => {
  it('is sent', async () => {
    server = await ScriptedServer.start(leased);
    await lockFor({
      kubeconfigFile: folder.write({ server: server.url }, { username: 'me', password: 'p' }),
    }).get(call());
    expect(server.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:p').toString('base64')}`);
  });
});

if (made === undefined) {
  describe('TLS', () => {
    it('is not tested here: there is no openssl to make certificates with', () => {
      expect(made).toBeUndefined();
    });
  });
} else {
  const serving = made.issue('server', 'IP:127.0.0.1');
  const elsewhere = made.issue('server', 'DNS:api.test');
  const authority = { 'certificate-authority-data': embedded(made.ca) };

  describe('TLS', () => {
    const fails = async (lock: KubernetesLeaseLock, reason: string): Promise<void> => {
      await expect(lock.update(base, record, call())).rejects.toMatchObject({
        code: 'LEADER_UNREACHABLE',
        maybeCommitted: false,
        message: expect.stringContaining(reason),
      });
      expect(server.requests).toEqual([]);
    };

    it('trusts the given authority: as PEM, embedded, or in a file beside the kubeconfig', async () => {
      server = await ScriptedServer.start(leased, serving);
      folder.file('beside.crt', made.ca);
      const sources: KubernetesSource[] = [
        { server: server.url, certificateAuthority: made.ca },
        // Concatenated and indented by hand.
        { server: server.url, certificateAuthority: `${rootCertificates[0] ?? ''}${made.ca}` },
        { server: `${server.url} `, certificateAuthority: `  # ours\r\n  ${made.ca}` },
        { kubeconfigFile: folder.write({ server: server.url, ...authority }) },
        { kubeconfigFile: folder.write({ server: server.url, 'certificate-authority': 'beside.crt' }) },
      ];
      for (const source of sources) {
        expect(await lockFor(source).get(call())).toMatchObject({ uid: 'u1' });
        connection.close();
      }
    });

    it('trusts no other authority', async () => {
      server = await ScriptedServer.start(leased, serving);
      await fails(lockFor({ server: server.url }), 'certificate is not trusted');
    });

    it('refuses a certificate of another name, unless tls-server-name says which name to expect', async () => {
      server = await ScriptedServer.start(leased, elsewhere);
      await fails(
        lockFor({ server: server.url, certificateAuthority: made.ca }),
        'ERR_TLS_CERT_ALTNAME_INVALID',
      );
      connection.close();
      const named = { server: server.url, ...authority, 'tls-server-name': 'api.test' };
      expect(await lockFor({ kubeconfigFile: folder.write(named) }).get(call())).toMatchObject({ uid: 'u1' });
    });

    it('is not verified with insecure-skip-tls-verify', async () => {
      server = await ScriptedServer.start(leased, elsewhere);
      const cluster = { server: server.url, 'insecure-skip-tls-verify': true };
      expect(await lockFor({ kubeconfigFile: folder.write(cluster) }).get(call())).toMatchObject({
        uid: 'u1',
      });
    });

    it('sends a client certificate, embedded or in files', async () => {
      const names: string[] = [];
      server = await ScriptedServer.start(
        (_request, response, socket) => {
          names.push(String((socket as TLSSocket).getPeerCertificate().subject.CN));
          answer(response, 200, leaseOf());
        },
        { ...serving, ca: made.ca, requestCert: true, rejectUnauthorized: true },
      );
      const alice = made.issue('alice');
      folder.file('alice.crt', alice.cert);
      folder.file('alice.key', alice.key);
      const users = [
        { 'client-certificate-data': embedded(alice.cert), 'client-key-data': embedded(alice.key) },
        { 'client-certificate': 'alice.crt', 'client-key': 'alice.key' },
      ];
      for (const user of users) {
        const kubeconfigFile = folder.write({ server: server.url, ...authority }, user);
        await lockFor({ kubeconfigFile }).get(call());
        connection.close();
      }
      expect(names).toEqual(['alice', 'alice']);
    });

    it('goes through a proxy, which sees only the address of the server', async () => {
      server = await ScriptedServer.start(leased, serving);
      const proxy = await ConnectProxy.start();
      const cluster = { server: server.url, ...authority, 'proxy-url': proxy.url };
      const lock = lockFor({ kubeconfigFile: folder.write(cluster) });
      for (let turn = 0; turn < 3; turn += 1) await lock.get(call());
      expect(proxy.targets).toEqual([`127.0.0.1:${String(server.port)}`]);
      await proxy.stop();
    });

    it('is verified through a proxy as well', async () => {
      server = await ScriptedServer.start(leased, elsewhere);
      const proxy = await ConnectProxy.start();
      const cluster = { server: server.url, ...authority, 'proxy-url': proxy.url };
      await fails(lockFor({ kubeconfigFile: folder.write(cluster) }), 'ERR_TLS_CERT_ALTNAME_INVALID');
      await proxy.stop();
    });

    it('sends nothing when the proxy refuses', async () => {
      server = await ScriptedServer.start(leased, serving);
      const proxy = await ConnectProxy.start('refuse');
      const cluster = { server: server.url, ...authority, 'proxy-url': proxy.url };
      const lock = lockFor({ kubeconfigFile: folder.write(cluster) });
      await expect(lock.update(base, record, call())).rejects.toMatchObject({ maybeCommitted: false });
      await proxy.stop();
    });
  });
}
