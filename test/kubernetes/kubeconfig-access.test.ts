/** The access of a kubeconfig stays the same object while client-node gives the same, so that connections are kept. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Wait } from '../../lib/kubernetes/access.js';
import { KubeconfigAccess } from '../../lib/kubernetes/kubeconfig-access.js';
import { canary } from '../security/canary.js';
import { KubeconfigFolder, embedded } from './kubeconfig-file.js';

const folder = new KubeconfigFolder();
const [ca = '', otherCa = ''] = rootCertificates;
const [first, second] = ['kubeconfig-first', 'kubeconfig-second'].map(canary) as [string, string];
const server = 'https://api.test:6443/';
const authority = { server, 'certificate-authority-data': embedded(ca) };

const waitedFor: string[] = [];
const wait: Wait = (what, begin) => {
  waitedFor.push(what);
  return begin();
};

beforeEach(() => {
  waitedFor.length = 0;
  for (const name of ['HTTPS_PROXY', 'https_proxy']) vi.stubEnv(name, '');
});
afterAll(() => {
  vi.unstubAllEnvs();
  folder.remove();
});

function accessOf(cluster: object, user: object): KubeconfigAccess {
  return new KubeconfigAccess({ kubeconfigFile: folder.write(cluster, user) });
}

/** A plugin that prints the content of a file with an expiry in the past, so it runs for every request. */
function plugin(): { readonly exec: object; readonly print: (status: object) => void } {
  const path = join(folder.path, 'printed');
  const script = `process.stdout.write(require('node:fs').readFileSync(${JSON.stringify(path)}))`;
  return {
    exec: { command: process.execPath, args: ['-e', script] },
    print: (status) => {
      const expirationTimestamp = '2001-01-01T00:00:00Z';
      writeFileSync(path, JSON.stringify({ status: { expirationTimestamp, ...status } }));
    },
  };
}

describe('a kubeconfig that contains its credentials', () => {
  it.each([
    ['a token', { token: first }],
    ['a name and password', { username: 'me', password: first }],
    ['a certificate', { 'client-certificate-data': embedded(ca), 'client-key-data': embedded(ca) }],
    ['nothing', {}],
  ])('with %s is read once, and later requests do not wait', async (_name, user) => {
    const source = accessOf(authority, user);
    expect(source.now()).toBeUndefined();
    const access = await source.get(wait);
    expect(access.server).toBe('https://api.test:6443');
    expect(source.now()).toBe(access);
    expect(source.now()).toBe(access);
  });

  it('is read again when it is refused, and keeps its route if that is unchanged', async () => {
    const kubeconfigFile = folder.write(authority, { token: first });
    const source = new KubeconfigAccess({ kubeconfigFile });
    const refused = await source.get(wait);
    const text = JSON.stringify({
      ...{ clusters: [{ name: 'c', cluster: authority }], users: [{ name: 'u', user: { token: second } }] },
      ...{ contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }], 'current-context': 'x' },
    });
    writeFileSync(kubeconfigFile, text);
    const renewed = await source.renew(refused, wait);
    expect(renewed.headers['Authorization']).toBe(`Bearer ${second}`);
    expect(renewed.route).toBe(refused.route);
    expect(source.now()).toBe(renewed);
    // Another request was refused with the old access.
    expect(await source.renew(refused, wait)).toBe(renewed);
  });
});

describe('credentials outside the kubeconfig', () => {
  it('of a plugin are asked for by each request; the access stays the same while they do', async () => {
    const { exec, print } = plugin();
    const source = accessOf(authority, { exec });
    print({ token: first });
    const access = await source.get(wait);
    expect(source.now()).toBeUndefined();
    expect(await source.get(wait)).toBe(access);
    print({ token: second });
    const other = await source.get(wait);
    expect(other.headers['Authorization']).toBe(`Bearer ${second}`);
    expect(other.route).toBe(access.route);
  });

  it('of a plugin that prints a new certificate give a new route', async () => {
    const { exec, print } = plugin();
    const source = accessOf(authority, { exec });
    print({ clientCertificateData: ca, clientKeyData: 'key' });
    const { route } = await source.get(wait);
    expect((await source.get(wait)).route).toBe(route);
    print({ clientCertificateData: otherCa, clientKeyData: 'key' });
    const other = await source.get(wait);
    expect(other.route).not.toBe(route);
    expect(other.route.tls).toMatchObject({ cert: otherCa, key: 'key' });
  });

  it.each([
    ['certificate-authority', 'ca'],
    ['client-certificate', 'cert'],
    ['client-key', 'key'],
  ])('in the file of %s give a new route when the file is replaced', async (field, part) => {
    const path = folder.file(`of-${field}`, ca);
    const files = { 'client-certificate': 'made.crt', 'client-key': 'made.key', [field]: path };
    folder.file('made.crt', ca);
    folder.file('made.key', ca);
    const { 'certificate-authority': inFile, ...user } = files as Record<string, string>;
    const source = accessOf({ server, ...(inFile && { 'certificate-authority': inFile }) }, user);
    const { route } = await source.get(wait);
    expect(source.now()).toBeUndefined();
    expect((await source.get(wait)).route).toBe(route);
    writeFileSync(path, otherCa);
    const other = await source.get(wait);
    expect(other.route).not.toBe(route);
    expect(String(other.route.tls[part as 'ca'])).toBe(otherCa);
  });

  it('in a token file change the headers but not the route', async () => {
    const path = folder.file('token', first);
    const source = accessOf(authority, {
      'auth-provider': { name: 'tokenFile', config: { tokenFile: path } },
    });
    const refused = await source.get(wait);
    writeFileSync(path, second);
    const renewed = await source.renew(refused, wait);
    expect(renewed.headers['Authorization']).toBe(`Bearer ${second}`);
    expect(renewed.route).toBe(refused.route);
  });
});

describe('a proxy-url', () => {
  it('gives a route with a tunnel, which is kept', async () => {
    const source = accessOf({ ...authority, 'proxy-url': 'http://proxy.test:3128' }, { token: first });
    const { route } = await source.get(wait);
    expect(route).toMatchObject({ tunnel: expect.any(Function), proxied: undefined });
    expect(source.now()?.route).toBe(route);
  });

  it('of a SOCKS proxy gives agents of client-node, each with the authority of the kubeconfig', async () => {
    const source = accessOf({ ...authority, 'proxy-url': 'socks5://proxy.test' }, { token: first });
    const { route } = await source.get(wait);
    expect(route.tunnel).toBeUndefined();
    const [one, another] = [route.proxied?.(), route.proxied?.()];
    expect(one).not.toBe(another);
    expect(one).toMatchObject({ options: { ca: Buffer.from(ca), rejectUnauthorized: true } });
  });

  it.each(['ftp://proxy.test', `me:${first}`, 'https://:99', 'proxy.test:3128'])(
    '%s is refused and not shown',
    async (proxy) => {
      const source = accessOf({ ...authority, 'proxy-url': proxy }, {});
      await expect(source.start()).rejects.toMatchObject({
        code: 'LEADER_KUBECONFIG_INVALID',
        message: expect.stringMatching(/^The kubeconfig's proxy-url is not the URL of a proxy/),
      });
      await expect(source.start()).rejects.not.toThrow(proxy);
    },
  );
});
