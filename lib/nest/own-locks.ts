import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { SystemClock, bounded, type LeaseLock } from '../election/internal.js';
import { ElectionLog } from './election-log.js';

/** The locks that applications bring. They are closed when the application has shut down, after all elections have ended. */
@Injectable()
export class OwnLocks implements OnApplicationShutdown {
  readonly #locks = new Map<LeaseLock, number>();

  /** @param patienceMs how long the shutdown waits for the lock to close. */
  closeAtEnd(lock: LeaseLock, patienceMs: number): void {
    this.#locks.set(lock, patienceMs);
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([...this.#locks].map(([lock, patienceMs]) => close(lock, patienceMs)));
  }
}

/** A lock that cannot be closed must not keep the application from ending. */
async function close(lock: LeaseLock, ms: number): Promise<void> {
  const error = (): Error => new Error(`it took longer than ${String(ms)} ms`);
  try {
    await bounded({ deadline: { clock: new SystemClock(), ms, error } }, async () => lock.close?.());
  } catch (problem) {
    const told = problem instanceof Error ? problem.message : String(problem);
    ElectionLog.logger.warn(`The lock of ${lock.describe()} was not closed: ${told}. The shutdown goes on.`);
  }
}
