/** The status of a Redis client. */
export interface Connection {
  readonly status?: string;
}

/** Where a worker has the connection on which it waits for jobs. */
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
 * Waits for the connection on which a worker waits for jobs. In bullmq 6 it belongs to the backend, in bullmq 5 it is private.
 * Undefined if it is in neither place.
 */
export async function waitingConnection(worker: object): Promise<Connection | undefined> {
  const { backend, blockingConnection }: Waiting = worker;
  try {
    return await (backend?.blockingClient ?? blockingConnection?.client);
  } catch {
    // It could not be opened. The worker reports that itself.
    return undefined;
  }
}

/** Whether a connection has a socket. True if its status is unknown. A cluster's status is `connect`. */
export function isConnected(connection: Connection | undefined): boolean {
  return ['ready', 'connect', undefined].includes(connection?.status);
}
