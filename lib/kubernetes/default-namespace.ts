import { isLeaderError, type LeaderError } from '../election/internal.js';
import { loadKubeConfig } from './kube-config.js';
import { meansPod, type KubernetesSource } from './kubernetes-source.js';
import { SERVICE_ACCOUNT_FOLDER, environmentNamespace, podNamespace } from './pod.js';

/** The namespace, if one was found, and the error if the kubeconfig could not be read. */
export interface DefaultNamespace {
  readonly namespace: string | undefined;
  readonly problem: LeaderError | undefined;
}

/**
 * Finds the namespace of a lease for which no option names one. It is the first of these that exists:
 * `POD_NAMESPACE`; the namespace of the pod's service account; the namespace of the kubeconfig's context. If `source`
 * names a kubeconfig, that comes before the service account, because it may be for another cluster.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for a `POD_NAMESPACE` that no namespace can have.
 */
export async function defaultNamespace(
  source: KubernetesSource,
  folder = SERVICE_ACCOUNT_FOLDER,
  env: NodeJS.ProcessEnv = process.env,
): Promise<DefaultNamespace> {
  const ofPod = podNamespace(folder, env);
  const isByPod = 'server' in source || (source.kubeconfigFile === undefined && source.context === undefined);
  const isKnown = environmentNamespace(env) !== undefined || (isByPod && ofPod !== undefined);
  if (isKnown || 'server' in source || meansPod(source)) return { namespace: ofPod, problem: undefined };
  try {
    const { config } = await loadKubeConfig(source);
    const context = config.getContextObject(config.getCurrentContext());
    return { namespace: context?.namespace ?? ofPod, problem: undefined };
  } catch (error) {
    if (!isLeaderError(error)) throw error;
    return { namespace: ofPod, problem: error };
  }
}
