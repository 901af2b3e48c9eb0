/*
 * @nestjs/bullmq and bullmq are optional, so neither is imported. Their classes are recognized by metadata and by their members.
 */
import 'reflect-metadata';

/** Tested with @nestjs/bullmq 11 and 12. A worker of another version gets a warning if it lacks a member that we use. */
export const TESTED_BULLMQ = '5.55 to 6.7';

/** Metadata of a class: it is a processor. */
const PROCESSOR = 'bullmq:processor_metadata';
/** Metadata of a class: the options of its worker. */
const WORKER_OPTIONS = 'bullmq:worker_metadata';
/** Metadata of a prototype, by the name `process`, because other decorators may wrap the function: the election that decides. */
const LED_BY = Symbol('nestjs-leader: processes jobs while this election is led');
/** Metadata of a function: a worker calls it with each job. */
export const PROCESSES_JOBS = Symbol('nestjs-leader: processes jobs');
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
      `${prototype.constructor.name}.process() is under @OnlyWhenLeader() of the elections '${other}' and '${election}'. A worker ` +
        `can be led by one: keep one decorator, and ask the other election by LeaderService.isLeader() inside.`,
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
