import { boundSignal, systemClock, type MonotonicMs, type WallMs } from '../../election/internal.js';
import type { KubernetesConnection } from '../../kubernetes/internal.js';
import { PATIENCE_MS } from '../cluster.js';

/** An answer, and when its request was sent and answered. */
export interface Timed {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly ms: number;
  readonly sentOn: WallMs;
  readonly answeredOn: WallMs;
  readonly answeredAt: MonotonicMs;
}

/** One request of the doctor. */
export interface DoctorRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

/** Sends a request and measures the time to its answer. Throws what the connection throws. */
export async function timed(
  connection: KubernetesConnection,
  request: DoctorRequest,
  signal: AbortSignal,
): Promise<Timed> {
  const error = (): Error => new Error(`There was no answer within ${String(PATIENCE_MS)} ms.`);
  const bound = boundSignal({ signal, deadline: { clock: systemClock, ms: PATIENCE_MS, error } });
  const [sentAt, sentOn] = [systemClock.now(), systemClock.date()];
  try {
    const response = await connection.request({ ...request, signal: bound.signal, newConnection: false });
    const { status, text, headers } = response;
    const [answeredAt, answeredOn] = [systemClock.now(), systemClock.date()];
    return { status, text, headers, ms: answeredAt - sentAt, sentOn, answeredOn, answeredAt };
  } finally {
    bound.dispose();
  }
}
