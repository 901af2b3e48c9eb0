/**
 * A job that this process may not begin, or was told to stop, goes back to waiting, at the front, with no attempt used up:
 * it is neither completed, for nobody has done it, nor failed.
 */
import { Logger } from '@nestjs/common';

/** What a worker gives to `process` in the first place. */
export interface Job {
  readonly id?: string;
  readonly queueName?: string;
  moveToWait(token?: string): Promise<unknown>;
}

/** A worker knows it by its name, and leaves the job where it has been moved to. */
class JobPutBack extends Error {
  override readonly name = 'WaitingError';
}

/** The job of a call; undefined if nobody but a test calls `process` with something else. */
export function jobIn([job]: readonly unknown[]): Job | undefined {
  if (typeof job !== 'object' || job === null || !('moveToWait' in job)) return undefined;
  return typeof job.moveToWait === 'function' ? (job as Job) : undefined;
}

/**
 * Puts it back, and rejects with what tells its worker so.
 *
 * It rejects so even if Redis refuses or cannot be reached: the job is then active until its lock has run out, and the
 * stalled check of whoever leads puts it back. Any other error would use up an attempt.
 */
export async function putBack(job: Job, [, token]: readonly unknown[], cause: Error): Promise<never> {
  try {
    await job.moveToWait(token as string | undefined);
  } catch (error) {
    new Logger('LeaderElection').warn(
      `Job ${String(job.id)} of '${String(job.queueName)}' could not be put back to waiting: ${String(error)}. When its ` +
        `lock has run out, the stalled check of the next leader's worker puts it back.`,
    );
  }
  throw new JobPutBack('bullmq:movedToWait', { cause });
}
