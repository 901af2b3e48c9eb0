// Jobs of @nestjs/bull and bull. Both are optional and not imported; they are recognised by metadata and members.
import { Logger } from '@nestjs/common';

/** Metadata of a function: it processes jobs of a queue. */
export const BULL_PROCESS = 'bull:module_queue_process';
/** Metadata of a function: it is called for events of a queue, also for jobs of a term that is over. */
export const BULL_QUEUE_EVENT = 'bull:module_on_queue_event';

/** The first argument of a processor: the members that this package uses. */
export interface BullJob {
  readonly id?: unknown;
  readonly queue: {
    readonly name: string;
    readonly token: string;
    /** The client with Bull's scripts as commands. */
    readonly client: { retryJob(...args: string[]): Promise<number> };
    toKey(name: string): string;
  };
  moveToFailed: (error: Error) => unknown;
}

/** The job of a call; undefined if a test calls the processor with another value. */
export function bullJobIn([job]: readonly unknown[]): BullJob | undefined {
  if (typeof job !== 'object' || job === null || !('moveToFailed' in job) || !('queue' in job))
    return undefined;
  const { queue } = job;
  return typeof queue === 'object' && queue !== null && 'toKey' in queue ? (job as BullJob) : undefined;
}

/**
 * Moves a job that this process must not begin, or must stop, back to waiting, at the front. The job is neither completed nor failed, and no
 * attempt is used up. Bull has no call for that: its script for another attempt moves the job, and the processor's error is not recorded.
 *
 * If Redis refuses or cannot be reached, the job is active until its lock expires; then the next check for stalled jobs puts it back.
 *
 * @param args a processor with a second parameter gets a callback, and Bull ignores what it returns.
 */
export async function putBackToBull(job: BullJob, [, done]: readonly unknown[], cause: Error): Promise<void> {
  const { queue } = job;
  const id = String(job.id);
  const keys = ['active', 'wait', id, 'meta-paused', 'paused', 'stalled', 'priority'];
  try {
    await queue.client.retryJob(...keys.map((key) => queue.toKey(key)), 'RPUSH', id, queue.token);
  } catch (error) {
    new Logger('LeaderElection').warn(
      `Job ${id} of '${queue.name}' could not be put back to waiting: ${String(error)}. When its lock has run out, the stalled ` +
        `check of a running processor puts it back.`,
    );
  }
  // Bull calls this, and what follows it records a failure. It waits for the next job instead.
  job.moveToFailed = () => ({ then: () => Promise.resolve(null) });
  if (typeof done !== 'function') throw cause;
  (done as (error: Error) => void)(cause);
}
