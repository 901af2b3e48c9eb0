/** A secret that is given instead of the path of a file is refused, and shown nowhere. */
import { inspect } from 'node:util';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  sourceViolations,
  type KubernetesSource,
} from '../../lib/kubernetes/internal.js';
import { KubeconfigFolder } from '../kubernetes/kubeconfig-file.js';
import { address, call } from '../kubernetes/lease-fixtures.js';
import { canary } from './canary.js';

const folder = new KubeconfigFolder();
const secret = canary('as-path');
const long = Array.from({ length: 30 }, () => secret).join('');

const yaml = `apiVersion: v1
kind: Config
clusters:
  - name: c
    cluster: { server: https://api.test }
users:
  - name: u
    user:
      token: ${secret}
`;
const json = JSON.stringify({ apiVersion: 'v1', users: [{ name: 'u', user: { token: secret } }] });
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const jwt = [{ alg: 'RS256' }, { sub: secret }]
  .map((part) => base64(JSON.stringify(part)).replace(/=/g, ''))
  .join('.');
const pem = `-----BEGIN RSA PRIVATE KEY-----\n${base64(long)}\n-----END RSA PRIVATE KEY-----\n`;

/** Texts that are given as a path by mistake, each with the secret in a form that the test searches for. */
const texts: [string, string][] = [
  ['a kubeconfig', yaml],
  ['a kubeconfig with Windows line breaks', yaml.replaceAll('\n', '\r\n')],
  ['a kubeconfig whose lines a shell has joined', yaml.replaceAll(/\s+/g, ' ')],
  ['a kubeconfig whose line breaks are written out', yaml.replaceAll('\n', '\\n')],
  ['a kubeconfig in JSON', json],
  ['a kubeconfig in JSON with spaces before it', `  ${json}`],
  ['a kubeconfig in base64', base64(yaml)],
  ['a key', pem],
  ['a key on one line', pem.replaceAll('\n', '')],
  ['a key in base64', base64(pem)],
  ['a JWT', `${jwt}.c2lnbmF0dXJl`],
  ['a long token', long],
  ['a text with a null byte', `${secret}\0`],
];

beforeEach(() => {
  vi.stubEnv('KUBERNETES_SERVICE_HOST', '');
  vi.stubEnv('KUBECONFIG', '');
  vi.stubEnv('HOME', join(folder.path, 'nobody'));
});
afterEach(() => {
  vi.unstubAllEnvs();
});
afterAll(() => {
  folder.remove();
});

/** Everything that a log, a health check or a debugger would show of an error. */
function shown(error: unknown): string {
  const whole = inspect(error, { depth: null, showHidden: true, maxStringLength: null });
  let text = `${whole}${JSON.stringify(error)}`;
  for (let at: unknown = error; at instanceof Error; at = at.cause)
    text += `${at.message}${String(at.stack)}${JSON.stringify(at)}`;
  return text;
}

/** Checks that an error shows neither the secret nor a long part of the text. */
function expectNothingOf(text: string, error: unknown): void {
  const seen = shown(error);
  expect(seen).not.toContain(secret);
  for (let at = 0; at + 24 <= text.length; at += 12) expect(seen).not.toContain(text.slice(at, at + 24));
}

async function thrownBy(source: KubernetesSource): Promise<unknown> {
  const connection = new KubernetesConnection(source);
  const error: unknown = await new KubernetesLeaseLock(connection, address)
    .get(call())
    .catch((thrown: unknown) => thrown);
  connection.close();
  return error;
}

describe.each(texts)('%s', (_name, text) => {
  it.each(['kubeconfigFile', 'tokenFile'])('as %s is refused at boot', (option) => {
    const source =
      option === 'tokenFile' ? { server: 'https://api.test', tokenFile: text } : { [option]: text };
    const violations = sourceViolations(source);
    expect(violations).toEqual([
      expect.stringMatching(new RegExp(`^kubernetes.${option} is .*path of a file`)),
    ]);
    expectNothingOf(text, violations);
  });

  it('in KUBECONFIG is refused', async () => {
    vi.stubEnv('KUBECONFIG', text.replaceAll('\0', '\u0001'));
    const error = await thrownBy({});
    expect(error).toMatchObject({
      code: 'LEADER_KUBECONFIG_INVALID',
      message: expect.stringContaining('KUBECONFIG is not the path'),
    });
    expectNothingOf(text, error);
  });

  const users: [string, object, object, string][] = [
    ['client-key', {}, { 'client-certificate-data': 'aGVsbG8=', 'client-key': text }, 'client-key-data'],
    ['client-certificate', {}, { 'client-certificate': text }, 'client-certificate-data'],
    ['tls-server-name', { 'tls-server-name': text }, {}, 'tls-server-name'],
    ['certificate-authority', { 'certificate-authority': text }, {}, 'certificate-authority-data'],
    ['tokenFile', {}, { 'auth-provider': { name: 'tokenFile', config: { tokenFile: text } } }, 'tokenFile'],
    ['token-file', {}, { 'token-file': text }, ''],
    ['command', {}, { exec: { command: text } }, 'command'],
    ['cmd-path', {}, { 'auth-provider': { name: 'gcp', config: { 'cmd-path': text } } }, 'cmd-path'],
  ];

  it.each(users)('as %s of a kubeconfig is refused', async (_field, cluster, user, says) => {
    const error = await thrownBy({
      kubeconfigFile: folder.write({ server: 'https://127.0.0.1:9', ...cluster }, user),
    });
    expect(error).toMatchObject({
      code: 'LEADER_KUBECONFIG_INVALID',
      maybeCommitted: false,
      message: expect.stringContaining(says),
    });
    expectNothingOf(text, error);
  });

  it('as a context or a server is not shown', async () => {
    const kubeconfigFile = folder.write({ server: 'https://api.test' });
    expectNothingOf(
      text,
      await thrownBy({ kubeconfigFile, context: text }).catch((thrown: unknown) => thrown),
    );
    const asServer = folder.write({ server: text });
    expectNothingOf(text, await thrownBy({ kubeconfigFile: asServer }));
    const asCurrent = folder.write({ server: 'https://api.test' }, {}, { 'current-context': text });
    expectNothingOf(text, await thrownBy({ kubeconfigFile: asCurrent }));
    const asProxy = folder.write({ server: 'https://127.0.0.1:9', 'proxy-url': text });
    expectNothingOf(text, await thrownBy({ kubeconfigFile: asProxy }));
  });
});

describe('a short word, which may be a token or a file', () => {
  it.each(['', 'ftp://', 'abcdef.'])('is not shown as a server, with %j before it', async (before) => {
    const error = await thrownBy({ kubeconfigFile: folder.write({ server: `${before}${secret}` }) });
    expect(error).toMatchObject({ code: 'LEADER_KUBECONFIG_INVALID' });
    expect(shown(error)).not.toContain(secret);
  });

  it('is not shown when there is no such file', async () => {
    const rows: KubernetesSource[] = [
      { kubeconfigFile: secret },
      { server: 'https://127.0.0.1:9', tokenFile: secret },
      ...[{ 'client-certificate': secret, 'client-key': secret }, { exec: { command: `sub/${secret}` } }].map(
        (user) => ({ kubeconfigFile: folder.write({ server: 'https://127.0.0.1:9' }, user) }),
      ),
      { kubeconfigFile: folder.write({ server: 'https://127.0.0.1:9', 'certificate-authority': secret }) },
      { kubeconfigFile: `https://me:${secret}@api.test/kubeconfig.yaml` },
      {
        kubeconfigFile: folder.write(
          { server: 'https://127.0.0.1:9' },
          { 'auth-provider': { name: 'tokenFile', config: { tokenFile: secret } } },
        ),
      },
    ];
    for (const source of rows) {
      const error = await thrownBy(source);
      expect(error).toMatchObject({
        code: 'LEADER_KUBECONFIG_INVALID',
        message: expect.stringContaining('ENOENT'),
      });
      expect(shown(error)).not.toContain(secret);
    }
  });
});

it('a URL in KUBECONFIG is refused', async () => {
  vi.stubEnv('KUBECONFIG', `https://me:${secret}@api.test/kubeconfig.yaml`);
  const error = await thrownBy({});
  expect(error).toMatchObject({ message: expect.stringContaining('KUBECONFIG is not the path') });
  expect(shown(error)).not.toContain(secret);
});

describe('the password of a proxy', () => {
  it.each([
    `socks5://me:${secret}@127.0.0.1:9`,
    `socks4://${secret}@127.0.0.1:9`,
    `http://me:${secret}@127.0.0.1:9`,
    `https://me:${secret}@127.0.0.1:9`,
  ])('in %s is not shown when the proxy cannot be reached', async (proxy) => {
    for (const server of ['https://127.0.0.1:9', 'http://127.0.0.1:9']) {
      const error = await thrownBy({ kubeconfigFile: folder.write({ server, 'proxy-url': proxy }) });
      expect(error).toMatchObject({
        code: 'LEADER_UNREACHABLE',
        cause: { cause: { message: expect.stringContaining('ECONNREFUSED') } },
      });
      expect(shown(error)).not.toContain(secret);
    }
  });
});

describe('a path', () => {
  it.each([
    '/etc/kubernetes/admin.conf',
    './kubeconfig',
    '../up/kubeconfig.yaml',
    'kubeconfig.json',
    'C:\\Users\\me\\.kube\\config',
    '/home/Jo Do/.kube/config',
    "/home/jo's/.kube/config",
    '/var/lib/kubelet/pods/0b1c5a3e-6f0c-4f5e-9d55-0a7d3c9b2f11/volumes/kubernetes.io~projected/token',
    'kubeconfig',
    'дом/конфиг',
  ])('%s may be given', (path) => {
    expect(sourceViolations({ kubeconfigFile: path })).toEqual([]);
    expect(sourceViolations({ server: 'https://api.test', tokenFile: path })).toEqual([]);
  });

  it('is shown when there is no such file', async () => {
    for (const path of ['/nowhere/at all/kubeconfig', './nowhere', 'nowhere.yaml']) {
      expect(await thrownBy({ kubeconfigFile: path })).toMatchObject({
        message: expect.stringContaining(`The kubeconfig ${path} cannot be read (ENOENT)`),
      });
      vi.stubEnv('KUBECONFIG', path);
      expect(await thrownBy({})).toMatchObject({
        message: expect.stringContaining(`The kubeconfig ${path} cannot be read (ENOENT)`),
      });
    }
    const missing = { 'client-certificate': 'none.crt', 'client-key': 'none.key' };
    expect(
      await thrownBy({ kubeconfigFile: folder.write({ server: 'https://127.0.0.1:9' }, missing) }),
    ).toMatchObject({
      message: expect.stringContaining(join(folder.path, 'none.crt')),
    });
  });
});
