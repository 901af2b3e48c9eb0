/** Pods on an API server without a kubelet: the measurement writes their statuses, in the form in which a kubelet writes them. */
import type { Surroundings } from './surroundings.js';

/** A pod with one container, `app`. */
export interface BenchPod {
  /** The environment that the downward API gives to its container. */
  readonly env: NodeJS.ProcessEnv;
  /** Reports the container as running since now. */
  runs(): Promise<void>;
  /** Reports the container as terminated now. */
  hasTerminated(): Promise<void>;
}

const CONTAINER = 'app';
const MERGE_PATCH = 'application/merge-patch+json';

/** Creates a pod. */
export async function podOf({ server, namespace }: Surroundings, name: string): Promise<BenchPod> {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const { json } = await server.client.demand('POST', pods, {
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: { automountServiceAccountToken: false, containers: [{ name: CONTAINER, image: 'none' }] },
    },
  });
  const { uid } = (json as { metadata: { uid: string } }).metadata;
  const containerID = `containerd://${name}`;
  const report = async (state: object): Promise<void> => {
    const status = {
      name: CONTAINER,
      image: 'none',
      imageID: '',
      ready: false,
      restartCount: 0,
      containerID,
      state,
    };
    await server.client.demand('PATCH', `${pods}/${name}/status`, {
      contentType: MERGE_PATCH,
      body: { status: { phase: 'Running', containerStatuses: [status] } },
    });
  };
  let startedAt = '';
  return {
    env: { POD_NAME: name, POD_UID: uid, POD_NAMESPACE: namespace, CONTAINER_NAME: CONTAINER },
    runs: async () => {
      startedAt = inSeconds();
      await report({ running: { startedAt } });
    },
    hasTerminated: () =>
      report({
        terminated: { exitCode: 137, reason: 'Error', startedAt, finishedAt: inSeconds(), containerID },
      }),
  };
}

/** The wall clock as the kubelet prints it. */
function inSeconds(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}
