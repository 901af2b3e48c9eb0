import { Injectable } from '@nestjs/common';
import { Cron, CronExpression } from '@nestjs/schedule';
import { OnlyWhenLeader, currentTerm } from 'nestjs-leader';
import { ReplicaReport } from './replica-report.js';

@Injectable()
export class InvoicesService {
  #sent = 0;

  constructor(private readonly report: ReplicaReport) {}

  /** Cron calls it in every replica, every second; it runs in the leader only. */
  @Cron(CronExpression.EVERY_SECOND)
  @OnlyWhenLeader()
  sendDue(): void {
    this.#send('cron');
  }

  /** Called by the gated route, so already inside a term. */
  sendNow(): { sent: number; fencingToken: string } {
    this.#send('http');
    return { sent: this.#sent, fencingToken: currentTerm().fencingToken.toString() };
  }

  #send(cause: string): void {
    const term = currentTerm();
    term.throwIfOver();
    this.#sent += 1;
    this.report.jobRan(cause, term);
  }
}
