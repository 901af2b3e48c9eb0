/** How an election's parts are found in Nest's container. */
import { Inject, type InjectionToken } from '@nestjs/common';
import { LeaderService } from './leader.service.js';

/** The name of an election that was given none. */
export const DEFAULT_ELECTION = 'default';

/** The token of an election's `LeaderService`; for the default election the class itself. */
export function getLeaderToken(election: string = DEFAULT_ELECTION): InjectionToken<LeaderService> {
  return election === DEFAULT_ELECTION ? LeaderService : `LeaderService:${election}`;
}

/** The token of an election's `Elector`. Override its provider to put another one in its place. */
export function getElectorToken(election: string = DEFAULT_ELECTION): string {
  return `Elector:${election}`;
}

/** @internal */
export function getOptionsToken(election: string): string {
  return `LeaderElectionOptions:${election}`;
}

/** @internal */
export function getLifecycleToken(election: string): string {
  return `ElectionLifecycle:${election}`;
}

/** Injects the `LeaderService` of the election of that name. */
export function InjectLeader(election?: string): ParameterDecorator & PropertyDecorator {
  return Inject(getLeaderToken(election));
}
