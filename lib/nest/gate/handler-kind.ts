/** What calls a method, read from the metadata that Nest's packages leave on the function. */
import 'reflect-metadata';
import { PROCESSES_JOBS, QUEUE_EVENTS, WORKER_EVENTS } from '../bullmq/job-processor.js';

/**
 * - `http`: a route
 * - `schedule`: a cron or interval job, called again and again
 * - `timeout`: a job that is called once
 * - `event`: a listener that nobody waits for
 * - `job`: `process` of a worker, whose result says that the job is done
 * - `plain`: anything else; whoever calls it wants its result
 */
export type HandlerKind = 'http' | 'schedule' | 'timeout' | 'event' | 'job' | 'plain';

const EVENT_PATTERN = 2;

/** Of which kind a function is. To be asked when it is called: decorators further up add theirs later. */
export function kindOfHandler(handler: object): HandlerKind {
  const has = (key: string | symbol): boolean => Reflect.hasOwnMetadata(key, handler);
  if (has('SCHEDULE_TIMEOUT_OPTIONS')) return 'timeout';
  if (has('SCHEDULE_CRON_OPTIONS') || has('SCHEDULE_INTERVAL_OPTIONS')) return 'schedule';
  if (has(PROCESSES_JOBS)) return 'job';
  if (has('EVENT_LISTENER_METADATA') || has(WORKER_EVENTS) || has(QUEUE_EVENTS)) return 'event';
  if (Reflect.getOwnMetadata('microservices:handler_type', handler) === EVENT_PATTERN) return 'event';
  if (has('path') && has('method')) return 'http';
  return 'plain';
}
