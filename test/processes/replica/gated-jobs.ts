import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { machineNow, tell } from './messages.js';

/** Often enough that one is due as soon as a blocked or stopped process continues. */
const TICK_MS = 20;

@Injectable()
export class GatedJobs {
  /** The time is read before the term is checked, so a process that is stopped in between reports a time inside the term. */
  @Interval(TICK_MS)
  @OnlyWhenLeader()
  tick(): void {
    const at = machineNow();
    const term = currentTerm();
    term.throwIfOver();
    const token = term.fencingToken.toString();
    // The term may have been renewed since it was reported last, and this process may be stopped before it reports it again.
    tell({ type: 'claim', token, from: at, until: at + term.remaining() });
    tell({ type: 'job', cause: 'interval', token, at });
  }

  /** Runs until it is told to stop, and then for another `drainMs`. */
  @OnlyWhenLeader()
  async work(drainMs: number): Promise<void> {
    const { signal, fencingToken } = currentTerm();
    const token = fencingToken.toString();
    tell({ type: 'work', stage: 'started', token, at: machineNow() });
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true });
    });
    tell({ type: 'work', stage: 'told', token, at: machineNow() });
    await pause(drainMs);
    tell({ type: 'work', stage: 'ended', token, at: machineNow() });
  }
}
