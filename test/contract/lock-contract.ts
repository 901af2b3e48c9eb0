/** The contract of a lock, which is for locks of all kinds, on the lock of this package. */
import { it } from 'vitest';
import { KubernetesConnection, KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { leaseLockContract, type LeaseLockSetup } from '../../lib/testing.js';
import { FaultProxy } from '../rig/fault-proxy.js';
import type { ContractServer } from './contract-server.js';
import { unusedName } from './lease-names.js';
import { GROUP_PATH } from './row.js';

const NAMESPACE = 'contract';

async function setUp({ api, url, ca }: ContractServer): Promise<LeaseLockSetup> {
  const name = unusedName();
  const proxy = await FaultProxy.start(url);
  const address = ca === undefined ? proxy.url.replace('https', 'http') : proxy.url;
  const connections: KubernetesConnection[] = [];
  return {
    lock: () => {
      const connection = new KubernetesConnection({
        server: address,
        token: 'admin-token',
        certificateAuthority: ca,
      });
      connections.push(connection);
      return new KubernetesLeaseLock(connection, { name, namespace: NAMESPACE, labels: {} });
    },
    delete: async () => {
      const path = `${GROUP_PATH}/namespaces/${NAMESPACE}/leases/${name}`;
      await api.send({ method: 'DELETE', path });
    },
    loseReplies: () => {
      proxy.halfOpen('replies');
    },
    end: async () => {
      for (const connection of connections) connection.close();
      await proxy.stop();
    },
  };
}

export function describeLeaseLock(server: () => ContractServer): void {
  for (const { name, run } of leaseLockContract(() => setUp(server()))) it(name, run);
}
