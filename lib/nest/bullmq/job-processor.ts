/**
 * What @nestjs/bullmq and bullmq look like from here. Both are optional, so nothing of them is imported: they are
 * recognised by the metadata they leave and the shapes they have.
 */
import 'reflect-metadata';

/** With @nestjs/bullmq 11 and 12. A worker of another version is said to be unknown if it lacks what is used of it. */
export const TESTED_BULLMQ = '5.55 to 6.7';

/** On a class: it is a processor. */
const PROCESSOR = 'bullmq:processor_metadata';
/** On a class: what its worker is made with. */
const WORKER_OPTIONS = 'bullmq:worker_metadata';
/** On `process` of a prototype: the election that decides. By name: other decorators may wrap the function. */
const LED_BY = Symbol('nestjs-leader: processes jobs while this election is led');
/** On a function: a worker calls it with each job. */
export const PROCESSES_JOBS = Symbol('nestjs-leader: processes jobs');
/** On a function: it hears of what happens to a worker's own jobs, also to those of a term that is over. */
export const WORKER_EVENTS = 'bullmq:worker_events_metadata';
/** On a function: it hears of what happens to the jobs of a queue, in whatever process. */
export const QUEUE_EVENTS = 'bullmq:queue_events_metadata';

/** A class of processors. */
export interface ProcessorClass {
  readonly name: string;
  readonly prototype: object;
}

/** Whether a class has a worker: it extends `WorkerHost`, which alone has this accessor. */
export function isWorkerHost(prototype: object): boolean {
  for (let at: object | null = prototype; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    if (Object.getOwnPropertyDescriptor(at, 'worker')?.get !== undefined) return true;
  }
  return false;
}

/**
 * From now on the workers of that class fetch jobs only while the election is led.
 *
 * @throws TypeError when another election decides already: the worker of the one would fetch what the other puts back.
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

/** Whether that election decides when the workers of a class fetch jobs. */
export function isProcessorLedBy(election: string, candidate: unknown): candidate is ProcessorClass {
  if (typeof candidate !== 'function' || !Reflect.hasMetadata(PROCESSOR, candidate)) return false;
  return Reflect.getMetadata(LED_BY, candidate.prototype as object, 'process') === election;
}

/** A worker of that class, made later, does not run before it is told to. */
export function holdBackWorkersOf(processor: ProcessorClass): void {
  const given = Reflect.getMetadata(WORKER_OPTIONS, processor) as object | undefined;
  Reflect.defineMetadata(WORKER_OPTIONS, { ...given, autorun: false }, processor);
}
