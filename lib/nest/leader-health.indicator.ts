import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import {
  DEFAULT_ELECTION,
  InvalidOptionsError,
  Watchdog,
  isLeaderError,
  readable,
  show,
  type LeaderError,
} from '../election/internal.js';
import { FATAL } from './election-log.js';
import { ElectionExplorer } from './election.explorer.js';
import { handleOf, leaderReplaced, type LeaderHandle } from './leader-handle.js';
import { getLeaderToken } from './tokens.js';

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
  /** Also down when nobody was seen to lead for this many milliseconds. Default: never, because a restart of a follower would not help. */
  readonly downWhenNoLeaderForMs?: number | undefined;
}

/** The details of an election in a health check, as Terminus' own indicators return them. */
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
  readonly message?: string;
}

/**
 * Health of an election, for Terminus or for a controller of your own. A follower is healthy, also while the API server is
 * unreachable: a restart of the process would not help.
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
    const leader = this.handleOf(options.election);
    const message = whyDown(leader, options);
    const health: LeaderHealth = {
      status: message === undefined ? 'up' : 'down',
      ...(message !== undefined && { message }),
      ...describe(leader),
    };
    return { [key]: health } as Record<Key, LeaderHealth>;
  }

  /** @internal */
  handleOf(election = DEFAULT_ELECTION): LeaderHandle {
    let service: unknown;
    try {
      service = this.moduleRef.get(getLeaderToken(election), { strict: false });
    } catch (cause) {
      const explorer = this.moduleRef.get(ElectionExplorer, { strict: false });
      throw explorer.unknownElection(election, 'LeaderHealthIndicator was asked about it', { cause });
    }
    const handle = handleOf(service);
    if (handle === undefined) throw leaderReplaced(election, 'LeaderHealthIndicator was asked');
    return handle;
  }
}

/** Why an election is down; undefined if it is up. */
function whyDown(leader: LeaderHandle, options: LeaderHealthOptions): string | undefined {
  const { maxTolerableExpiredLease, downWhenNoLeaderForMs } = options;
  refuseOther(downWhenNoLeaderForMs);
  const { failure, clock, state, exposesLeader } = leader;
  const shown = (error: Error): string => (exposesLeader ? error.message : codeOf(error));
  if (failure !== undefined) return `the election ended with an error: ${shown(failure)}`;
  if ('error' in state && state.error !== undefined && FATAL.includes(state.error.code))
    return shown(state.error);
  const watchdog = new Watchdog({ maxTolerableExpiredLease, clock });
  watchdog.watch(leader, leader.leaseDuration);
  const overdue = watchdog.check();
  if (overdue !== undefined) return overdue;
  const leaderless = leader.leaderlessForMs;
  return downWhenNoLeaderForMs !== undefined && leaderless > downWhenNoLeaderForMs
    ? `nobody was seen to lead for ${String(Math.round(leaderless))} ms`
    : undefined;
}

function describe({
  state,
  identity,
  leader,
  exposesLeader,
}: LeaderHandle): Omit<LeaderHealth, 'status' | 'message'> {
  const term = state.kind === 'leading' || state.kind === 'handingOver' ? state.term : undefined;
  const error = 'error' in state ? state.error : undefined;
  return {
    state: state.kind,
    ...(exposesLeader && { identity, leader: readable(leader) }),
    ...(term !== undefined && {
      since: new Date(term.startedAt).toISOString(),
      lastRenewal: new Date(term.renewedAt).toISOString(),
      fencingToken: term.fencingToken.toString(),
    }),
    ...('watch' in state && { watch: state.watch }),
    ...(error !== undefined && { error: shownError(error, exposesLeader) }),
  };
}

/** An error as an answer shows it. */
export function shownError(
  { code, message }: LeaderError,
  exposesLeader: boolean,
): NonNullable<LeaderHealth['error']> {
  return { code, ...(exposesLeader && { message }) };
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
