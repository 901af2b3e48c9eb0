import { Injectable } from '@nestjs/common';
import { ModuleRef, ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError, Watchdog, isLeaderError, readable, show } from '../election/index.js';
import { unknownElection } from './elections.js';
import { isLeaderService, leaderReplaced, type LeaderService } from './leader.service.js';
import type { LeaderElectionModuleOptions } from './options/module-options.js';
import { DEFAULT_ELECTION, getLeaderToken, getOptionsToken } from './tokens.js';

/** When an election is reported as down. */
export interface LeaderHealthOptions {
  /** The name of the election. Default: the default election. */
  readonly election?: string | undefined;
  /**
   * For how many milliseconds after its lease expired a process may act as leader before it is down. Default 20000.
   *
   * @see client-go `leaderelection.HealthzAdaptor`
   */
  readonly maxTolerableExpiredLease?: number | undefined;
  /** Also down when nobody was seen to lead for this many milliseconds. Default: never, because a follower cannot mend that. */
  readonly downWhenNoLeaderForMs?: number | undefined;
}

/** The details of an election in a health check. */
export interface LeaderHealth {
  readonly status: 'up' | 'down';
  readonly state: string;
  /** Absent with `exposeLeader: false`, as are `leader` and the message of `error`. */
  readonly identity?: string;
  /** `''` if nobody is known to lead. */
  readonly leader?: string;
  /** Since when this process leads, ISO 8601. */
  readonly since?: string;
  /** When the lease was last proven ours, ISO 8601. */
  readonly lastRenewal?: string;
  readonly fencingToken?: string;
  /** `open` if the lease is watched; otherwise it is polled, and a hand-over takes longer. */
  readonly watch?: string;
  /** The present problem; of several problems the most important one. */
  readonly error?: { readonly code: string; readonly message?: string };
  /** Why it is down. */
  readonly reason?: string;
}

/**
 * Health of an election, for any version of Terminus, or for a controller of your own. A follower is healthy, also while the API
 * server is unreachable: to restart the process would mend neither.
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
    let leader: LeaderService;
    try {
      leader = this.moduleRef.get<LeaderService>(getLeaderToken(election), { strict: false });
    } catch (cause) {
      const modules = this.moduleRef.get(ModulesContainer, { strict: false });
      throw unknownElection(modules, election, 'LeaderHealthIndicator was asked about', { cause });
    }
    if (isLeaderService(leader)) return leader;
    throw leaderReplaced(election, 'LeaderHealthIndicator was asked');
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
      const what = leader.exposesLeader ? failure.message : codeOf(failure);
      return `the election ended with an error: ${what}`;
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
  const { state, identity, exposesLeader } = leader;
  const term = state.kind === 'leading' || state.kind === 'handingOver' ? state.term : undefined;
  const error = 'error' in state ? state.error : undefined;
  return {
    state: state.kind,
    ...(exposesLeader && { identity, leader: readable(leader.getLeader()) }),
    ...(term !== undefined && {
      since: new Date(term.startedAt).toISOString(),
      lastRenewal: new Date(term.renewedAt).toISOString(),
      fencingToken: term.fencingToken.toString(),
    }),
    ...('watch' in state && { watch: state.watch }),
    ...(error !== undefined && {
      error: { code: error.code, ...(exposesLeader && { message: error.message }) },
    }),
  };
}

/** The error without its message, which may contain anything. */
function codeOf(failure: Error): string {
  return isLeaderError(failure) ? failure.code : failure.name;
}

/** Refuses limits that are not numbers: nothing would ever exceed them. */
function refuseOther(downWhenNoLeaderForMs: unknown): void {
  if (downWhenNoLeaderForMs === undefined) return;
  if (typeof downWhenNoLeaderForMs === 'number' && !Number.isNaN(downWhenNoLeaderForMs)) return;
  const violation = `downWhenNoLeaderForMs is ${show(downWhenNoLeaderForMs)}: it must be a number of milliseconds`;
  throw new InvalidOptionsError([violation], 'The options of isHealthy()');
}
