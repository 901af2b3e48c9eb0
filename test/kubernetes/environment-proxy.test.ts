/** The proxy that the environment names, by the rules of kubectl and client-go. */
import { describe, expect, it } from 'vitest';
import { environmentProxy } from '../../lib/kubernetes/environment-proxy.js';

const HTTPS_PROXY = 'http://proxy.test:3128';
const PORT = ':6443';

describe('the proxy of the environment', () => {
  const rows: [string, NodeJS.ProcessEnv, string | undefined][] = [
    ['https://api.test', {}, undefined],
    ['https://api.test', { HTTPS_PROXY }, HTTPS_PROXY],
    ['https://api.test', { https_proxy: HTTPS_PROXY }, HTTPS_PROXY],
    ['https://api.test', { HTTPS_PROXY: '', https_proxy: HTTPS_PROXY }, HTTPS_PROXY],
    ['https://api.test', { HTTP_PROXY: HTTPS_PROXY }, undefined],
    ['http://api.test', { HTTP_PROXY: HTTPS_PROXY }, HTTPS_PROXY],
    ['https://api.test', { HTTPS_PROXY: 'proxy.test:3128' }, HTTPS_PROXY],
    // This machine: kind, minikube, the embedded server.
    [`https://127.0.0.1${PORT}`, { HTTPS_PROXY }, undefined],
    [`https://localhost${PORT}`, { HTTPS_PROXY }, undefined],
    [`https://[::1]${PORT}`, { HTTPS_PROXY }, undefined],
  ];

  it.each(rows)('for %s with %o is %s', (url, env, expected) => {
    expect(environmentProxy(new URL(url), env)).toBe(expected);
  });

  const exemptions: [string, string, boolean][] = [
    ['https://api.test', '*', true],
    ['https://api.test', 'other, API.test', true],
    ['https://a.api.test', 'api.test', true],
    ['https://a.api.test', '.api.test', true],
    ['https://api.test', '.api.test', false],
    ['https://xapi.test', 'api.test', false],
    ['https://api.test:6443', 'api.test:6443', true],
    ['https://api.test:6443', 'api.test:443', false],
    ['https://api.test', 'api.test:443', true],
    // As clusters exempt the addresses of their Services.
    ['https://10.96.0.1', '10.0.0.0/8', true],
    ['https://11.96.0.1', '10.0.0.0/8', false],
    ['https://10.96.0.1', '10.96.0.1', true],
    ['https://10.96.0.1:443', '10.96.0.1:443', true],
    ['https://[fd00::1]:6443', 'fd00::/8', true],
    ['https://[fd00::1]:6443', 'fd00::1', true],
    ['https://[fd00::1]:6443', '[fd00::1]:6443', true],
    ['https://[fd00::1]:6443', '10.0.0.0/8', false],
    ['https://10.96.0.1', '10.0.0.0/99', false],
    ['https://api.test', 'nonsense/8,,:', false],
  ];

  it.each(exemptions)('for %s is not used under NO_PROXY %s: %s', (url, entries, exempt) => {
    for (const NO of [{ NO_PROXY: entries }, { NO_PROXY: '', no_proxy: entries }]) {
      expect(environmentProxy(new URL(url), { HTTPS_PROXY, ...NO })).toBe(exempt ? undefined : HTTPS_PROXY);
    }
  });
});
