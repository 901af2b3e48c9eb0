/** What Kubernetes tells a pod about itself. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The namespace of the pod this process runs in, or undefined outside a cluster. */
export function podNamespace(folder = SERVICE_ACCOUNT_FOLDER): string | undefined {
  try {
    return readFileSync(join(folder, 'namespace'), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Whether this process runs in a pod that may talk to its API server. */
export function isInCluster(env: NodeJS.ProcessEnv = process.env, folder = SERVICE_ACCOUNT_FOLDER): boolean {
  const addressed = Boolean(env['KUBERNETES_SERVICE_HOST']) && Boolean(env['KUBERNETES_SERVICE_PORT']);
  return addressed && existsSync(join(folder, 'token')) && existsSync(join(folder, 'ca.crt'));
}
