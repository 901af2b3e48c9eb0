/** A Redis client, as far as it says how it is. */
export interface Connection {
  readonly status?: string;
}

/** Where a worker keeps the connection on which it waits for jobs. */
interface Waiting {
  readonly backend?: { readonly blockingClient?: Promise<Connection> };
  readonly blockingConnection?: { readonly client?: Promise<Connection> };
}

/** Whether a worker has its connection where bullmq 5 or 6 has it. */
export function hasWaitingConnection(worker: object): boolean {
  const { backend, blockingConnection }: Waiting = worker;
  return [backend, blockingConnection].some((keeper) => {
    return keeper !== undefined && ('blockingClient' in keeper || 'client' in keeper);
  });
}

/**
 * The connection on which a worker waits for jobs, when it has been made. bullmq 6 has it at its backend, 5 keeps it to
 * itself; undefined where there is none of either kind.
 */
export async function waitingConnection(worker: object): Promise<Connection | undefined> {
  const { backend, blockingConnection }: Waiting = worker;
  try {
    return await (backend?.blockingClient ?? blockingConnection?.client);
  } catch {
    // It could not be made; the worker says so itself.
    return undefined;
  }
}

/** Whether a connection has a socket; one that does not say is believed to. A cluster of nodes says `connect`. */
export function isConnected(connection: Connection | undefined): boolean {
  return ['ready', 'connect', undefined].includes(connection?.status);
}
