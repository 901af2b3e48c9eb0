/** The API server is always verified, whatever the environment says; only the kubeconfig can turn that off. */
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  KubernetesConnection,
  KubernetesLeaseLock,
  type KubernetesSource,
} from '../../lib/kubernetes/index.js';
import { ConnectProxy } from '../kubernetes/connect-proxy.js';
import { KubeconfigFolder, embedded } from '../kubernetes/kubeconfig-file.js';
import { address, call, leaseOf } from '../kubernetes/lease-fixtures.js';
import { ScriptedServer, answer } from '../kubernetes/scripted-server.js';
import { TestAuthority } from '../kubernetes/test-authority.js';
import { canary } from './canary.js';

const folder = new KubeconfigFolder();
const ours = TestAuthority.make();
const others = TestAuthority.make();
const token = canary('over-tls');

afterAll(() => {
  folder.remove();
  ours?.remove();
  others?.remove();
});

if (ours === undefined || others === undefined) {
  it('is not tested here: there is no openssl to make certificates with', () => {
    expect(ours).toBeUndefined();
  });
} else {
  describe('with NODE_TLS_REJECT_UNAUTHORIZED=0', () => {
    let server: ScriptedServer;
    let proxy: ConnectProxy;

    beforeEach(async () => {
      // Node warns about the variable.
      vi.spyOn(process, 'emitWarning').mockReturnValue(undefined);
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
      proxy = await ConnectProxy.start();
      server = await ScriptedServer.start(
        (_request, response) => {
          answer(response, 200, leaseOf());
        },
        others.issue('server', 'IP:127.0.0.1'),
      );
    });
    afterEach(async () => {
      vi.restoreAllMocks();
      vi.unstubAllEnvs();
      await Promise.all([server.stop(), proxy.stop()]);
    });

    const get = async (source: KubernetesSource): Promise<unknown> => {
      const connection = new KubernetesConnection(source);
      const lock = new KubernetesLeaseLock(connection, address);
      const read: unknown = await lock.get(call()).catch((error: unknown) => error);
      const watched: unknown = await lock
        .watch(() => undefined, call().signal)
        .catch((error: unknown) => error);
      connection.close();
      return [read, watched];
    };
    const authority = { 'certificate-authority-data': embedded(ours.ca) };
    const rows: [string, (url: string, proxy: string) => KubernetesSource][] = [
      ['an authority by address', (url) => ({ server: url, token, certificateAuthority: ours.ca })],
      ['no authority by address', (url) => ({ server: url, token })],
      [
        'an authority of a kubeconfig',
        (url) => ({ kubeconfigFile: folder.write({ server: url, ...authority }, { token }) }),
      ],
      [
        'no authority of a kubeconfig',
        (url) => ({ kubeconfigFile: folder.write({ server: url }, { token }) }),
      ],
      [
        'an authority through a proxy',
        (url, by) => ({
          kubeconfigFile: folder.write({ server: url, ...authority, 'proxy-url': by }, { token }),
        }),
      ],
    ];

    it.each(rows)(
      '%s is not overridden: a server of another authority gets no token',
      async (_name, source) => {
        const failed = expect.objectContaining({ code: 'LEADER_UNREACHABLE' }) as unknown;
        expect(await get(source(server.url, proxy.url))).toEqual([failed, failed]);
        expect(server.requests).toEqual([]);
      },
    );

    it('insecure-skip-tls-verify accepts any server', async () => {
      const cluster = { server: server.url, 'insecure-skip-tls-verify': true };
      const connection = new KubernetesConnection({ kubeconfigFile: folder.write(cluster, { token }) });
      expect(await new KubernetesLeaseLock(connection, address).get(call())).toMatchObject({ uid: 'u1' });
      connection.close();
    });
  });
}
