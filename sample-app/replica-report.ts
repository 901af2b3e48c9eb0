import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { LeaderService, type LeadershipTerm } from 'nestjs-leader';

/**
 * A message of a replica to the demo. Times are milliseconds of the machine's monotonic clock, which all its processes share, so
 * they can be compared between replicas.
 */
export type ReplicaMessage =
  | { readonly type: 'ready'; readonly at: number }
  /** It leads in this term from `from`, and for certain until `until`, unless a `claimEnded` comes before. */
  | { readonly type: 'claim'; readonly token: string; readonly from: number; readonly until: number }
  | { readonly type: 'claimEnded'; readonly token: string; readonly at: number; readonly reason: string }
  /** The answer of `isLeader()`. */
  | { readonly type: 'looked'; readonly at: number; readonly leads: boolean }
  | { readonly type: 'job'; readonly cause: string; readonly token: string; readonly at: number }
  | { readonly type: 'leader'; readonly identity: string; readonly at: number };

/** A message of the demo to a replica: throw an exception that nobody catches. */
export type ReplicaOrder = 'crash';

const LOOK_EVERY_MS = 50;

/** Reports to the demo, if that started this process by `fork`; otherwise does nothing. */
@Injectable()
export class ReplicaReport implements OnApplicationBootstrap, OnModuleDestroy {
  #looking: NodeJS.Timeout | undefined;

  constructor(private readonly leader: LeaderService) {}

  onApplicationBootstrap(): void {
    if (process.send === undefined) return;
    // The demo has ended, so its replicas end.
    process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
    process.on('message', (message) => {
      // A process may have other parents than the demo, with messages of their own.
      if (message === ('crash' satisfies ReplicaOrder)) throw new Error('The demo ordered: crash.');
    });
    let from = 0;
    this.leader.on('startedLeading', ({ term }) => {
      from = now();
      this.#claim(term, from);
      term.signal.addEventListener('abort', () => {
        const { reason } = term.signal.reason as { reason: string };
        this.#tell({ type: 'claimEnded', token: term.fencingToken.toString(), at: now(), reason });
      });
    });
    this.leader.on('newLeader', ({ identity }) => {
      this.#tell({ type: 'leader', identity, at: now() });
    });
    this.#looking = setInterval(() => {
      const at = now();
      const leads = this.leader.isLeader();
      this.#tell({ type: 'looked', at, leads });
      if (leads && this.leader.term !== undefined) this.#claim(this.leader.term, from);
    }, LOOK_EVERY_MS);
    this.#tell({ type: 'ready', at: now() });
  }

  onModuleDestroy(): void {
    clearInterval(this.#looking);
  }

  jobRan(cause: string, term: LeadershipTerm): void {
    const at = now();
    // The term may have been renewed since it was reported last, and this process may be stopped before it reports it again.
    this.#claim(term, at);
    this.#tell({ type: 'job', cause, token: term.fencingToken.toString(), at });
  }

  #claim(term: LeadershipTerm, from: number): void {
    const until = now() + term.remaining();
    this.#tell({ type: 'claim', token: term.fencingToken.toString(), from, until });
  }

  #tell(message: ReplicaMessage): void {
    if (process.connected) process.send?.(message);
  }
}

function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
