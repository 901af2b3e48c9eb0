/** What a replica is told at its start, what it can be ordered to do, and how it reports. */
import type { LeaderElectionModuleOptions } from 'nestjs-leader';

export interface Setup {
  readonly election: LeaderElectionModuleOptions;
  /** Calls `enableShutdownHooks()`. */
  readonly shutdownHooks: boolean;
  /** `gracefulShutdownTimeoutMs` of Terminus. */
  readonly terminusTimeoutMs?: number;
  /** A provider of this module throws in its `onModuleDestroy`. */
  readonly throwsIn?: 'root' | 'imported';
  /** What long work fetches; never answers. */
  readonly silentUrl?: string;
}

export type Work = 'obedient' | 'stubborn' | 'fetch' | 'timer' | 'pipeline' | 'query' | 'race' | 'ownError';

export type Order =
  /** Starts gated work of that kind. */
  | { readonly do: 'work'; readonly kind: Work }
  /** Lets obedient work that was told to stop, and stubborn work, end. */
  | { readonly do: 'finish' }
  | { readonly do: 'close' }
  | { readonly do: 'stepDown'; readonly cooldown: number }
  /** A task that ends with a value or an error when told to `finish`, or with its term. */
  | { readonly do: 'runAsLeader'; readonly ends: 'value' | 'error' | 'term' }
  /** Gives up the wait of the `runAsLeader` above. */
  | { readonly do: 'giveUp' }
  | { readonly do: 'whenLeader' };

/** One line of a replica's output. */
export interface Line {
  readonly event: string;
  readonly [fact: string]: unknown;
}

/** Written at once: a line is out before anything that the process does after it. */
export function tell(event: string, facts: object = {}): void {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
}
