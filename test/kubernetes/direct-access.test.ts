/** The access in a pod and by address: made once, and again only when its files have changed. */
import { rmSync, writeFileSync } from 'node:fs';
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { MonotonicMs } from '../../lib/election/index.js';
import type { Access, Wait } from '../../lib/kubernetes/access.js';
import { DirectAccess } from '../../lib/kubernetes/direct-access.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { podServer } from '../../lib/kubernetes/pod.js';
import { canary } from '../security/canary.js';
import { HandClock } from './hand-clock.js';
import { address, call, leaseOf } from './lease-fixtures.js';
import { ScriptedServer, answer } from './scripted-server.js';
import { ServiceAccountFolder } from './service-account.js';

const [ca = '', otherCa = ''] = rootCertificates;
const [first, second, third] = ['first', 'second', 'third'].map(canary) as [string, string, string];
const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };
const LOOK_EVERY_MS = 2_000;

/** A clock whose time a test sets. */
class SetClock extends HandClock {
  at = 0;
  override now(): MonotonicMs {
    return this.at as MonotonicMs;
  }
}

const waitedFor: string[] = [];
const wait: Wait = (what, begin) => {
  waitedFor.push(what);
  return begin();
};

let account: ServiceAccountFolder;
let clock: SetClock;
let pod: DirectAccess;

beforeEach(() => {
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']) vi.stubEnv(name, '');
  account = new ServiceAccountFolder({ token: `${first}\n`, 'ca.crt': ca });
  clock = new SetClock();
  pod = DirectAccess.ofPod(clock, account.path, env);
});
afterEach(() => {
  waitedFor.length = 0;
  vi.unstubAllEnvs();
  account.remove();
});

function tokenOf(access: Access | undefined): string | undefined {
  return access?.headers['Authorization']?.replace(/^Bearer /, '');
}

/** Replaces both functions that read the files, until the test ends. */
function countingReads(): { readonly reads: string[] } {
  const reads: string[] = [];
  for (const name of ['stat', 'readFile'] as const) {
    const original = fsPromises[name] as (...args: unknown[]) => unknown;
    vi.spyOn(fsPromises, name).mockImplementation(((...args: unknown[]) => {
      reads.push(`${name} ${String(args[0]).split('/').at(-1) ?? ''}`);
      return original(...args);
    }) as never);
  }
  syncBuiltinESMExports();
  return { reads };
}

describe('the access of a pod', () => {
  it('is made from its variables and files', async () => {
    expect(pod.now()).toBeUndefined();
    expect(await pod.get(wait)).toEqual({
      server: 'https://10.0.0.1:443',
      route: { tls: { ca, rejectUnauthorized: true }, proxied: undefined },
      headers: {
        Accept: 'application/json',
        'User-Agent': 'nestjs-leader',
        Authorization: `Bearer ${first}`,
      },
    });
    expect(waitedFor).toEqual(["the files of the pod's service account"]);
  });

  it('is the same object for every request, and no request waits for a file', async () => {
    const access = await pod.get(wait);
    await pod.look();
    const { reads } = countingReads();
    try {
      pod.now();
      await pod.look();
      reads.length = 0;
      for (let request = 0; request < 1_000; request += 1) expect(pod.now()).toBe(access);
      expect(reads).toEqual([]);
      clock.at += LOOK_EVERY_MS;
      for (let request = 0; request < 1_000; request += 1) expect(pod.now()).toBe(access);
      await pod.look();
      expect(reads).toEqual(['stat token', 'stat ca.crt']);
      expect(pod.now()).toBe(access);
    } finally {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    }
  });

  it('gets a new token and keeps its route when the kubelet has replaced the token', async () => {
    const { route } = await pod.get(wait);
    account.replace({ token: second, 'ca.crt': ca });
    await pod.look();
    expect(tokenOf(pod.now())).toBe(second);
    expect(pod.now()?.route).toBe(route);
  });

  it('gets a new token when the file was overwritten', async () => {
    await pod.get(wait);
    writeFileSync(join(account.path, 'token'), second);
    await pod.look();
    expect(tokenOf(pod.now())).toBe(second);
  });

  it('gets a new route when the authority was replaced', async () => {
    const { route } = await pod.get(wait);
    account.replace({ token: first, 'ca.crt': `# both\n  ${ca}\n${otherCa}` });
    await pod.look();
    expect(pod.now()?.route).not.toBe(route);
    expect(pod.now()?.route.tls.ca).toBe(`${ca}\n${otherCa}`);
    expect(tokenOf(pod.now())).toBe(first);
  });

  it.each([
    ['the token is empty', { token: '\n', 'ca.crt': ca }],
    ['the token consists of several words', { token: 'a b', 'ca.crt': ca }],
    ['the authority is empty', { token: first, 'ca.crt': '' }],
    ['the authority is cut off', { token: first, 'ca.crt': ca.slice(0, 200) }],
  ])('stays as it is while %s, and the files are read again', async (_name, broken) => {
    const access = await pod.get(wait);
    account.replace(broken);
    await pod.look();
    await pod.look();
    expect(pod.now()).toBe(access);
    account.replace({ token: second, 'ca.crt': otherCa });
    await pod.look();
    expect(tokenOf(pod.now())).toBe(second);
    expect(pod.now()?.route.tls.ca).toBe(otherCa);
  });

  it('takes a new token although the authority is broken', async () => {
    await pod.get(wait);
    account.replace({ token: second, 'ca.crt': '' });
    await pod.look();
    expect(tokenOf(pod.now())).toBe(second);
  });

  it('stays as it is while the files are missing', async () => {
    const access = await pod.get(wait);
    rmSync(join(account.path, '..data'));
    await pod.look();
    expect(pod.now()).toBe(access);
  });

  it.each([
    ['token', { token: '', 'ca.crt': ca }, 'contains no token'],
    ['ca.crt', { token: first, 'ca.crt': 'hello' }, 'contains no PEM certificate'],
    ['ca.crt', { token: first, 'ca.crt': ca.replace('MII', '***') }, 'or a broken one'],
  ])('is an error that names the file %s until the file can be used', async (name, broken, what) => {
    account.replace(broken);
    const failed = expect.objectContaining({
      code: 'LEADER_KUBECONFIG_INVALID',
      maybeCommitted: false,
      message: expect.stringMatching(
        new RegExp(`service account cannot be used: its file ${join(account.path, name)} .*${what}`),
      ),
    }) as unknown;
    await expect(pod.get(wait)).rejects.toEqual(failed);
    await expect(pod.start()).rejects.toEqual(failed);
    account.replace({ token: first, 'ca.crt': ca });
    expect(tokenOf(await pod.get(wait))).toBe(first);
  });

  it('is an error that names a missing file', async () => {
    rmSync(join(account.path, '..data', 'token'));
    await expect(pod.start()).rejects.toMatchObject({
      code: 'LEADER_KUBECONFIG_INVALID',
      message: expect.stringContaining('token cannot be read (ENOENT)'),
    });
  });
});

describe('an access that was refused', () => {
  it('is renewed at once when the token has changed', async () => {
    const refused = await pod.get(wait);
    account.replace({ token: second, 'ca.crt': ca });
    const renewed = await pod.renew(refused, wait);
    expect(tokenOf(renewed)).toBe(second);
    expect(renewed?.route).toBe(refused.route);
    expect(pod.now()).toBe(renewed);
  });

  it('is renewed with a new token although the authority is broken', async () => {
    const refused = await pod.get(wait);
    account.replace({ token: second, 'ca.crt': '' });
    expect(tokenOf(await pod.renew(refused, wait))).toBe(second);
  });

  it('is kept for the next request when the token is broken, and this request fails', async () => {
    const refused = await pod.get(wait);
    account.replace({ token: '', 'ca.crt': ca });
    await expect(pod.renew(refused, wait)).rejects.toMatchObject({ code: 'LEADER_KUBECONFIG_INVALID' });
    expect(pod.now()).toBe(refused);
  });

  it('is not renewed while the token is the same', async () => {
    expect(await pod.renew(await pod.get(wait), wait)).toBeUndefined();
  });

  it('is renewed for all requests by one read, and without a read if it has been renewed meanwhile', async () => {
    const refused = await pod.get(wait);
    account.replace({ token: second, 'ca.crt': ca });
    const { reads } = countingReads();
    try {
      const all = await Promise.all(Array.from({ length: 20 }, () => pod.renew(refused, wait)));
      expect(new Set(all)).toEqual(new Set([pod.now()]));
      expect(reads.filter((read) => read === 'readFile token')).toHaveLength(1);
      account.replace({ token: third, 'ca.crt': ca });
      expect(await pod.renew(refused, wait)).toBe(all[0]);
    } finally {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    }
  });

  it('is renewed even while a check is in progress that may have read the old token', async () => {
    const refused = await pod.get(wait);
    const look = pod.look();
    account.replace({ token: second, 'ca.crt': ca });
    expect(tokenOf(await pod.renew(refused, wait))).toBe(second);
    await look;
    expect(tokenOf(pod.now())).toBe(second);
  });

  it('with the token of the options is not renewed, and no file is read', async () => {
    const byAddress = DirectAccess.byAddress({ server: 'https://api.test/', token: ` ${first}\n` }, clock);
    const access = await byAddress.get(wait);
    expect(access.server).toBe('https://api.test');
    expect(tokenOf(access)).toBe(first);
    expect(await byAddress.renew(access, wait)).toBeUndefined();
    expect(byAddress.now()).toBe(access);
  });
});

describe('a connection by address', () => {
  it('uses a replaced token within seconds, without a 401', async () => {
    const server = await ScriptedServer.start((_request, response) => {
      answer(response, 200, leaseOf());
    });
    const tokenFile = join(account.path, 'token');
    const connection = new KubernetesConnection({ server: server.url, tokenFile }, clock);
    const lock = new KubernetesLeaseLock(connection, address);
    await lock.get(call());
    account.replace({ token: second, 'ca.crt': ca });
    const sent = (): string | undefined => server.requests.at(-1)?.headers.authorization;
    while (sent() !== `Bearer ${second}`) {
      clock.at += LOOK_EVERY_MS;
      await lock.get(call());
    }
    connection.close();
    await server.stop();
  });
});

describe("the variables of a pod's API server", () => {
  it.each([
    ['kubernetes.default.svc', '6443', 'https://kubernetes.default.svc:6443'],
    ['fd00::1', '443', 'https://[fd00::1]:443'],
    ['[fd00::1]', '443', 'https://[fd00::1]:443'],
    ['FD00::A', '65535', 'https://[FD00::A]:65535'],
    ['10.0.0.1', '443', 'https://10.0.0.1:443'],
    // Plain http, on the ports that are usual for it, only to this machine.
    ['10.0.0.1', '80', 'https://10.0.0.1:80'],
    ['10.0.0.1', '8080', 'https://10.0.0.1:8080'],
    ['2001:db8::1', '8001', 'https://[2001:db8::1]:8001'],
    ['127.0.0.1', '8001', 'http://127.0.0.1:8001'],
    ['::1', '8001', 'http://[::1]:8001'],
    ['127.0.0.1', '6443', 'https://127.0.0.1:6443'],
  ])('%s and %s give %s', (host, port, url) => {
    expect(podServer({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port })).toBe(url);
  });

  it.each([
    ['', '443', 'KUBERNETES_SERVICE_HOST'],
    ['https://10.0.0.1', '443', 'KUBERNETES_SERVICE_HOST'],
    ['10.0.0.1:443', '443', 'KUBERNETES_SERVICE_HOST'],
    ['10.0.0.1/path', '443', 'KUBERNETES_SERVICE_HOST'],
    ['me@10.0.0.1', '443', 'KUBERNETES_SERVICE_HOST'],
    ['10.0.0.256', '443', 'KUBERNETES_SERVICE_HOST'],
    ['a b', '443', 'KUBERNETES_SERVICE_HOST'],
    ['[::1', '443', 'KUBERNETES_SERVICE_HOST'],
    ['fe80::1%eth0', '443', 'KUBERNETES_SERVICE_HOST'],
    ['10.0.0.1', '', 'KUBERNETES_SERVICE_PORT'],
    ['10.0.0.1', '0', 'KUBERNETES_SERVICE_PORT'],
    ['10.0.0.1', '65536', 'KUBERNETES_SERVICE_PORT'],
    ['10.0.0.1', 'tcp://10.0.0.1:443', 'KUBERNETES_SERVICE_PORT'],
    ['10.0.0.1', '4e2', 'KUBERNETES_SERVICE_PORT'],
    ['10.0.0.1', ' 443', 'KUBERNETES_SERVICE_PORT'],
  ])('%j and %j are refused; the error names %s', (host, port, variable) => {
    const bad = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port };
    const seen = variable === 'KUBERNETES_SERVICE_HOST' ? host : port;
    expect(() => podServer(bad)).toThrow(
      expect.objectContaining({
        code: 'LEADER_KUBECONFIG_INVALID',
        maybeCommitted: false,
        message: expect.stringContaining(`${variable} is '${seen}': it must be`),
      }) as Error,
    );
  });

  it('are both named in one error', async () => {
    const bad = { KUBERNETES_SERVICE_HOST: 'a b', KUBERNETES_SERVICE_PORT: 'x' };
    await expect(DirectAccess.ofPod(clock, account.path, bad).start()).rejects.toThrow(
      /KUBERNETES_SERVICE_HOST is 'a b'.*KUBERNETES_SERVICE_PORT is 'x'.*remove what changes them/,
    );
  });
});

describe('an invalid proxy URL in the environment', () => {
  it.each(['http://:3128', 'ftp://proxy.test', 'http://proxy.test:port', `socks9://me:${first}@proxy.test`])(
    '%s is refused by the first request, and not shown',
    async (proxy) => {
      vi.stubEnv('HTTPS_PROXY', proxy);
      const connection = new KubernetesConnection({ server: 'https://api.test' });
      const error: unknown = await new KubernetesLeaseLock(connection, address)
        .get(call())
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: 'LEADER_KUBECONFIG_INVALID',
        maybeCommitted: false,
        message: expect.stringMatching(
          /HTTPS_PROXY is not the URL of a proxy .*it must be an http, https or socks5 URL/,
        ),
      });
      expect((error as Error).message).not.toContain(proxy);
    },
  );
});
