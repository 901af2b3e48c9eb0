import { currentTerm, isTermOver } from '../../election/index.js';
import { disguise, type Method } from '../gate/gate.js';
import { PROCESSES_JOBS, leadProcess } from './job-processor.js';
import { jobIn, putBack } from './put-back.js';

/**
 * `process` of a worker, to be put behind a gate: a job that fails because its term has ended goes back to
 * waiting. That is work of the term: a hand-over releases the lease when the job is where the next leader finds it.
 */
export function gatedProcess(process: Method, prototype: object, election: string): Method {
  leadProcess(prototype, election);
  const puttingBack: Method = async function (this: unknown, ...args) {
    const term = currentTerm(election);
    try {
      return await process.apply(this, args);
    } catch (error) {
      const job = jobIn(args);
      if (job === undefined || !isTermOver(error, term)) throw error;
      return putBack(job, args, term.signal.reason as Error);
    }
  };
  disguise(puttingBack, process);
  Reflect.defineMetadata(PROCESSES_JOBS, true, puttingBack);
  return puttingBack;
}
