import { currentTerm, isTermOver } from '../../election/index.js';
import { disguise, type Method } from '../gate/gate.js';
import { errorOfOver } from '../gate/term-entry.js';
import { PROCESSES_JOBS, leadProcess } from './job-processor.js';
import { jobIn, putBack } from './put-back.js';

/**
 * Wraps `process` of a worker, inside the gate. A job that fails because its term has ended goes back to waiting. That is work of the
 * term, so a hand-over releases the lease when the next leader can get the job.
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
      return putBack(job, args, errorOfOver(term));
    }
  };
  disguise(puttingBack, process);
  Reflect.defineMetadata(PROCESSES_JOBS, true, puttingBack);
  return puttingBack;
}
