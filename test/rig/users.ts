/** The users of the API server, and the key with which it signs service account tokens. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { keepSecret } from '../security/canary.js';

export const ADMIN_TOKEN = 'admin-token';

/** A user, by name or with groups. The token is `<name>-token`. */
export type RigUser = string | { readonly name: string; readonly groups?: readonly string[] };

export async function writeCredentials(folder: string, users: readonly RigUser[]): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const everyone: RigUser[] = [{ name: 'admin', groups: ['system:masters'] }, ...users];
  keepSecret(privateKey);
  await writeFile(join(folder, 'service-account.key'), privateKey);
  await writeFile(join(folder, 'service-account.pub'), publicKey);
  await writeFile(join(folder, 'tokens.csv'), everyone.map(tokenLine).join(''));
}

/** A line for `--token-auth-file`: token, name, id, and the groups in one quoted field. */
function tokenLine(user: RigUser, id: number): string {
  const { name, groups = [] } = typeof user === 'string' ? { name: user } : user;
  keepSecret(`${name}-token`);
  return `${name}-token,${name},${String(id)}${groups.length === 0 ? '' : `,"${groups.join(',')}"`}\n`;
}

/** A kubeconfig of one cluster and one user. JSON is YAML. */
export function kubeconfigText(cluster: object, user: object, namespace: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'rig', cluster }],
    users: [{ name: 'rig', user }],
    contexts: [{ name: 'rig', context: { cluster: 'rig', user: 'rig', namespace } }],
    'current-context': 'rig',
  });
}
