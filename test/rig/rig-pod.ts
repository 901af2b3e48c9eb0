/**
 * A Pod on the real API server, whose status is written as a kubelet writes it (kubelet v1.36, pkg/kubelet/kubelet_pods.go,
 * `convertToAPIContainerStatuses`). No kubelet runs here.
 */
import { randomBytes } from 'node:crypto';
import type { RealApiServer } from './real-api-server.js';

/** The end of a container, as it is in its status. */
export interface ContainerEnd {
  readonly containerID?: string;
  readonly exitCode?: number;
  readonly reason?: string;
  readonly finishedAt?: string | null;
}

export class RigPod {
  readonly name: string;
  readonly uid: string;
  readonly namespace: string;
  /** Of the container `app`. */
  readonly containerId = newContainerId();
  readonly startedAt = time(0);
  readonly #server: RealApiServer;

  private constructor(server: RealApiServer, namespace: string, name: string, uid: string) {
    this.#server = server;
    this.namespace = namespace;
    this.name = name;
    this.uid = uid;
  }

  /** @param containers their names; `app` is the first. */
  static async create(
    server: RealApiServer,
    name: string,
    { namespace = 'default', containers = ['app'] } = {},
  ): Promise<RigPod> {
    // A Pod needs a service account. No controller runs here that would create it.
    await server.serviceAccountToken(namespace, 'default');
    const body = {
      metadata: { name },
      // On a node, a deletion waits for its kubelet.
      spec: { nodeName: 'node-1', containers: containers.map((one) => ({ name: one, image: 'app:1' })) },
    };
    const { json } = await server.client.demand('POST', `/api/v1/namespaces/${namespace}/pods`, { body });
    return new RigPod(server, namespace, name, (json as { metadata: { uid: string } }).metadata.uid);
  }

  /** What the downward API tells the container `app`. */
  get env(): Readonly<Record<string, string>> {
    return {
      POD_UID: this.uid,
      POD_NAME: this.name,
      POD_NAMESPACE: this.namespace,
      CONTAINER_NAME: 'app',
    };
  }

  get running(): object {
    return this.container({ running: { startedAt: this.startedAt } });
  }

  /** The status of `app` after it was killed. The clock of its node is some seconds ahead, so it has lived for a while. */
  killed(end: ContainerEnd = {}): object {
    return this.container({ terminated: this.end(end) });
  }

  end(end: ContainerEnd = {}): object {
    const { containerId: containerID, startedAt } = this;
    return { containerID, exitCode: 137, reason: 'Error', startedAt, finishedAt: time(5), ...end };
  }

  container(state: object, rest: object = {}): object {
    return {
      name: 'app',
      image: 'app:1',
      imageID: '',
      ready: 'running' in state,
      restartCount: 0,
      containerID: this.containerId,
      state,
      ...rest,
    };
  }

  /** Writes the status. What is not given stays as it is. */
  async report(containerStatuses: readonly object[], rest: object = {}): Promise<void> {
    const body = { status: { phase: 'Running', ...rest, containerStatuses } };
    const contentType = 'application/merge-patch+json';
    await this.#server.client.demand('PATCH', `${this.#path}/status`, { body, contentType });
  }

  /** Deletes it; with a grace period it stays, and has a deletion timestamp. */
  async delete(gracePeriodSeconds: number): Promise<void> {
    await this.#server.client.demand('DELETE', this.#path, { body: { gracePeriodSeconds } });
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.namespace}/pods/${this.name}`;
  }
}

export function newContainerId(): string {
  return `containerd://${randomBytes(32).toString('hex')}`;
}

/** The time in that many seconds, as the API server prints it. */
export function time(inSeconds: number): string {
  return `${new Date(Date.now() + inSeconds * 1_000).toISOString().slice(0, 19)}Z`;
}
