// Jobs and processors of @nestjs/bullmq and bullmq. Both are optional and not imported; they are recognized by metadata and members.
import 'reflect-metadata';
import { Logger } from '@nestjs/common';

/** Metadata of a class: it is a processor. */
const PROCESSOR = 'bullmq:processor_metadata';
/** Metadata of a class: the options of its worker. */
const WORKER_OPTIONS = 'bullmq:worker_metadata';
/** Metadata of a prototype, by the name `process`, because other decorators may wrap the function: the election that decides. */
const LED_BY = Symbol('nestjs-leader: processes jobs while this election is led');
/** Metadata of a function: it is called for events of a worker's own jobs, also for jobs of a term that is over. */
export const WORKER_EVENTS = 'bullmq:worker_events_metadata';
/** Metadata of a function: it is called for events of a queue's jobs in all processes. */
export const QUEUE_EVENTS = 'bullmq:queue_events_metadata';

/** A class of processors. */
export interface ProcessorClass {
  readonly name: string;
  readonly prototype: object;
}

/** Whether a class has a worker: it extends `WorkerHost`, the only class with this accessor. */
export function isWorkerHost(prototype: object): boolean {
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (Object.getOwnPropertyDescriptor(at, 'worker')?.get !== undefined) return true;
  }
  return false;
}

/**
 * From now on the workers of a class fetch jobs only while this process leads the election.
 *
 * @throws TypeError if another election decides already: a worker would fetch jobs that the other gate puts back.
 */
export function leadProcess(prototype: object, election: string): void {
  const other = Reflect.getOwnMetadata(LED_BY, prototype, 'process') as string | undefined;
  if (other !== undefined && other !== election) {
    throw new TypeError(
      `${prototype.constructor.name}.process() is under @OnlyWhenLeader() of the elections '${other}' and '${election}'. One election can ` +
        `lead a worker: keep one decorator, and ask the other election by LeaderService.isLeader() inside.`,
    );
  }
  Reflect.defineMetadata(LED_BY, election, prototype, 'process');
}

/** Whether an election decides when the workers of a class fetch jobs. */
export function isProcessorLedBy(election: string, candidate: unknown): candidate is ProcessorClass {
  if (typeof candidate !== 'function' || !Reflect.hasMetadata(PROCESSOR, candidate)) return false;
  return Reflect.getMetadata(LED_BY, candidate.prototype as object, 'process') === election;
}

/** A worker of the class that is created later does not run by itself. */
export function holdBackWorkersOf(processor: ProcessorClass): void {
  const given = Reflect.getMetadata(WORKER_OPTIONS, processor) as object | undefined;
  Reflect.defineMetadata(WORKER_OPTIONS, { ...given, autorun: false }, processor);
}

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
