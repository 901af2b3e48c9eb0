import { Logger } from '@nestjs/common';

/** The first argument of `process`. */
export interface Job {
  readonly id?: string;
  readonly queueName?: string;
  moveToWait(token?: string): Promise<unknown>;
}

/** A worker recognizes this error by its name, and leaves the job where it was moved to. */
class JobPutBack extends Error {
  override readonly name = 'WaitingError';
}

/** The job of a call; undefined if a test calls `process` with another value. */
export function jobIn([job]: readonly unknown[]): Job | undefined {
  if (typeof job !== 'object' || job === null || !('moveToWait' in job)) return undefined;
  return typeof job.moveToWait === 'function' ? (job as Job) : undefined;
}

/**
 * Moves a job that this process must not begin, or must stop, back to waiting, at the front. The job is neither completed nor failed, and
 * no attempt is used up. Rejects with the error by which a worker recognizes that.
 *
 * It rejects with this error even if Redis refuses or cannot be reached. The job is then active until its lock expires, and the
 * leader's check for stalled jobs puts it back. Any other error would use up an attempt.
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
