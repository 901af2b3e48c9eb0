/** An application whose API server can only be reached with `@kubernetes/client-node`, which cannot be loaded here. */
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KubeconfigFolder } from '../kubernetes/kubeconfig-file.js';
import type * as Nestjs from '../../lib/index.js';

let nestjs: typeof Nestjs;
let folder: KubeconfigFolder;

beforeEach(async () => {
  folder = new KubeconfigFolder();
  vi.resetModules();
  vi.doMock('@kubernetes/client-node', () => {
    throw new Error('planted');
  });
  nestjs = await import('../../lib/index.js');
});

afterEach(() => {
  folder.remove();
  vi.doUnmock('@kubernetes/client-node');
  vi.unstubAllEnvs();
});

function start(options: Partial<Nestjs.LeaderElectionModuleOptions>): Promise<unknown> {
  const election = { leaseName: 'billing', leaseNamespace: 'default', ...options };
  return Test.createTestingModule({ imports: [nestjs.LeaderElectionModule.forRoot(election)] }).compile();
}

describe('does not start', () => {
  it.each(['warn', 'fail', 'off'] as const)('with a kubeconfig, preflight %s', async (preflight) => {
    const kubernetes = { kubeconfigFile: folder.write({ server: 'http://api.test' }) };
    await expect(start({ kubernetes, preflight })).rejects.toMatchObject({
      code: 'LEADER_CLIENT_UNUSABLE',
      message: expect.stringContaining('npm i @kubernetes/client-node'),
    });
  });

  it('with a kubeconfig that should give the namespace', async () => {
    const kubernetes = { kubeconfigFile: folder.write({ server: 'http://api.test' }) };
    await expect(start({ kubernetes, leaseNamespace: undefined })).rejects.toMatchObject({
      code: 'LEADER_CLIENT_UNUSABLE',
    });
  });

  it('with the address of a server behind a SOCKS proxy', async () => {
    vi.stubEnv('HTTPS_PROXY', 'socks5://127.0.0.1:9');
    vi.stubEnv('NO_PROXY', '');
    vi.stubEnv('no_proxy', '');
    await expect(
      start({ kubernetes: { server: 'https://api.test', token: 'secret' } }),
    ).rejects.toMatchObject({
      code: 'LEADER_CLIENT_UNUSABLE',
    });
  });
});

describe('starts', () => {
  it('with an address and a token', async () => {
    await start({ kubernetes: { server: 'https://api.test', token: 'secret' } });
  });

  it('with a kubeconfig that does not exist yet', async () => {
    await start({ kubernetes: { kubeconfigFile: '/nowhere/config' } });
  });

  it('with enabled: false', async () => {
    const kubernetes = { kubeconfigFile: folder.write({ server: 'http://api.test' }) };
    await start({ kubernetes, enabled: false });
  });
});
