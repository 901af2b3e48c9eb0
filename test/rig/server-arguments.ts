/** The flags of a small, fast and disposable kube-apiserver and its etcd. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export function etcdArguments(folder: string, clientPort: number, peerPort: number): string[] {
  const client = `http://127.0.0.1:${String(clientPort)}`;
  const peer = `http://127.0.0.1:${String(peerPort)}`;
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    '--unsafe-no-fsync',
    '--log-level=warn',
  ];
}

export async function serverArguments(
  folder: string,
  etcdPort: number,
  port: number,
  {
    auditLog = false,
    goawayChance = 0,
  }: { readonly auditLog?: boolean | 'batch'; readonly goawayChance?: number },
): Promise<string[]> {
  const policy = join(folder, 'audit-policy.json');
  await writeFile(
    policy,
    JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] }),
  );
  return [
    `--etcd-servers=http://127.0.0.1:${String(etcdPort)}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${String(port)}`,
    `--cert-dir=${folder}`,
    `--service-account-key-file=${join(folder, 'service-account.pub')}`,
    `--service-account-signing-key-file=${join(folder, 'service-account.key')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--authorization-mode=RBAC',
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--feature-gates=CoordinatedLeaderElection=true',
    '--runtime-config=coordination.k8s.io/v1beta1=true',
    `--goaway-chance=${String(goawayChance)}`,
    ...(auditLog === false
      ? []
      : [
          `--audit-policy-file=${policy}`,
          `--audit-log-path=${join(folder, 'audit.log')}`,
          `--audit-log-mode=${auditLog === 'batch' ? 'batch' : 'blocking'}`,
        ]),
  ];
}
