import { Inject, type InjectionToken } from '@nestjs/common';
import { LeaderService } from './leader.service.js';

/** The name of an election whose options contain none. */
export const DEFAULT_ELECTION = 'default';

/** The description of a token. Nest shows it if there is no provider, so it says what is missing. */
const NAMED = 'LeaderService of LeaderElectionModule.forRoot({ … }) with the name ';

/** The token of an election's `LeaderService`; for the default election the class itself. */
export function getLeaderToken(election: string = DEFAULT_ELECTION): InjectionToken<LeaderService> {
  return election === DEFAULT_ELECTION ? LeaderService : Symbol.for(`${NAMED}'${election}'`);
}

/** @internal The election for whose `LeaderService` a token stands; undefined for other tokens. */
export function electionOfLeaderToken(token: unknown): string | undefined {
  if (token === LeaderService) return DEFAULT_ELECTION;
  const key = typeof token === 'symbol' ? Symbol.keyFor(token) : undefined;
  return key?.startsWith(NAMED) === true ? key.slice(NAMED.length + 1, -1) : undefined;
}

/** The token of an election's `Elector`. Override its provider to use another elector. */
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
