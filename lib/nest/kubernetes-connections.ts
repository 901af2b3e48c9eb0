import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { KubernetesOptions } from './options/module-options.js';

/** Loads `lib/kubernetes`, which only an election in a cluster needs. */
export const kubernetesRoom = () => import('../kubernetes/internal.js');

export type KubernetesRoom = Awaited<ReturnType<typeof kubernetesRoom>>;

interface Closable {
  close(): void;
}

/** The connections of one application. Elections with the same source share a connection. */
@Injectable()
export class KubernetesConnections implements OnApplicationShutdown {
  readonly #connections = new Map<string, Closable>();

  share<T extends Closable>(options: KubernetesOptions, connect: () => T): T {
    const key = JSON.stringify(Object.entries(options).sort());
    const known = this.#connections.get(key);
    // Every caller of one application passes the same `connect`, so the value of a key is a T.
    if (known !== undefined) return known as T;
    const made = connect();
    this.#connections.set(key, made);
    return made;
  }

  onApplicationShutdown(): void {
    for (const connection of this.#connections.values()) connection.close();
  }
}
