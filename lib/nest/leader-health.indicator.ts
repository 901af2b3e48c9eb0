import { Injectable } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError, Watchdog, readable, show } from '../election/index.js';
import { unknownElection } from './elections.js';
import type { LeaderService } from './leader.service.js';
import type { LeaderElectionModuleOptions } from './options/module-options.js';
import { DEFAULT_ELECTION, getLeaderToken, getOptionsToken } from './tokens.js';

/** When an election counts as ill. */
export interface LeaderHealthOptions {
  /** Of which election. Default: the default one. */
  readonly election?: string | undefined;
  /**
   * How many milliseconds after its lease ran out a process may still act as leader before it is down. Default 20000.
   *
   * @see client-go `leaderelection.HealthzAdaptor`
   */
  readonly maxTolerableExpiredLease?: number | undefined;
  /** Down as well when nobody was seen to lead for so many milliseconds. Default: never, since a follower can do nothing. */
  readonly downWhenNoLeaderForMs?: number | undefined;
}

/** What a health check shows of an election. */
export interface LeaderHealth {
  readonly status: 'up' | 'down';
  readonly state: string;
  readonly identity: string;
  /** `''` when nobody is known to lead. */
  readonly leader: string;
  /** Since when this process leads, ISO 8601. */
  readonly since?: string;
  /** When the lease was last proved ours, ISO 8601. */
  readonly lastRenewal?: string;
  readonly fencingToken?: string;
  /** What is wrong at the moment. */
  readonly error?: { readonly code: string; readonly message: string };
  /** Why it is down. */
  readonly reason?: string;
}

/**
 * Health of an election, for Terminus of any version, or for a controller of your own. Following is healthy, and so is an
 * unreachable API server: restarting the process would mend neither.
 */
@Injectable()
export class LeaderHealthIndicator {
  constructor(private readonly moduleRef: ModuleRef) {}

  /**
   * @throws LeaderError `LEADER_MODULE_MISSING` when there is no election of that name; InvalidOptionsError
   * `LEADER_INVALID_OPTIONS`.
   */
  isHealthy<Key extends string = 'leader'>(
    key: Key = 'leader' as Key,
    options: LeaderHealthOptions = {},
  ): Record<Key, LeaderHealth> {
    const leader = this.#find(options.election);
    const reason = this.#whyDown(leader, options);
    const health: LeaderHealth = {
      status: reason === undefined ? 'up' : 'down',
      ...describe(leader),
      ...(reason !== undefined && { reason }),
    };
    return { [key]: health } as Record<Key, LeaderHealth>;
  }

  #find(election = DEFAULT_ELECTION): LeaderService {
    try {
      return this.moduleRef.get<LeaderService>(getLeaderToken(election), { strict: false });
    } catch (cause) {
      const modules = this.moduleRef.get(ModulesContainer, { strict: false });
      throw unknownElection(modules, election, 'LeaderHealthIndicator was asked about', { cause });
    }
  }

  #leaseDurationOf(election = DEFAULT_ELECTION): number {
    const token = getOptionsToken(election);
    return this.moduleRef.get<LeaderElectionModuleOptions>(token, { strict: false }).leaseDuration ?? 15_000;
  }

  #whyDown(leader: LeaderService, options: LeaderHealthOptions): string | undefined {
    const { maxTolerableExpiredLease = 20_000, downWhenNoLeaderForMs } = options;
    refuseOther(downWhenNoLeaderForMs);
    const { failure, clock } = leader;
    if (failure !== undefined) {
      return `the election ended with an error: ${failure.message}`;
    }
    const watchdog = new Watchdog({ maxTolerableExpiredLease, clock });
    watchdog.watch(leader, this.#leaseDurationOf(options.election));
    const overdue = watchdog.check();
    if (overdue !== undefined) return overdue;
    const leaderless = leader.leaderlessForMs;
    if (downWhenNoLeaderForMs !== undefined && leaderless > downWhenNoLeaderForMs) {
      return `nobody was seen to lead for ${String(Math.round(leaderless))} ms`;
    }
    return undefined;
  }
}

function describe(leader: LeaderService): Omit<LeaderHealth, 'status'> {
  const { state, identity } = leader;
  const term = state.kind === 'leading' || state.kind === 'handingOver' ? state.term : undefined;
  const error = 'error' in state ? state.error : undefined;
  return {
    state: state.kind,
    identity,
    leader: readable(leader.getLeader()),
    ...(term !== undefined && {
      since: new Date(term.startedAt).toISOString(),
      lastRenewal: new Date(term.renewedAt).toISOString(),
      fencingToken: term.fencingToken.toString(),
    }),
    ...(error !== undefined && { error: { code: error.code, message: error.message } }),
  };
}

/** Compared with what is no number, nothing would ever be too long. */
function refuseOther(downWhenNoLeaderForMs: unknown): void {
  if (downWhenNoLeaderForMs === undefined) return;
  if (typeof downWhenNoLeaderForMs === 'number' && !Number.isNaN(downWhenNoLeaderForMs)) return;
  const violation = `downWhenNoLeaderForMs is ${show(downWhenNoLeaderForMs)}: it must be a number of milliseconds`;
  throw new InvalidOptionsError([violation], 'The options of isHealthy()');
}
