import { Inject, type InjectionToken } from '@nestjs/common';
import { DEFAULT_ELECTION } from '../election/internal.js';
import { LeaderService } from './leader.service.js';

/** The token under which each election's module provides the election's name. */
export const ELECTION_NAME = Symbol('nestjs-leader.election-name');
/** The token under which each election's module provides the options as they were given. */
export const GIVEN_OPTIONS = Symbol('nestjs-leader.given-options');
/** The token under which each election's module provides its checked options, with every default filled in. */
export const RESOLVED_OPTIONS = Symbol('nestjs-leader.resolved-options');
/** The token of the function that creates the electors of an application. A test overrides it once for all elections. */
export const CREATE_ELECTOR = Symbol('nestjs-leader.create-elector');

/** The name of the election that each token of a `LeaderService` stands for. */
const electionNames = new Map<unknown, string>([[LeaderService, DEFAULT_ELECTION]]);

/** The token of an election's `LeaderService`; for the default election the class itself. */
export function getLeaderToken(election: string = DEFAULT_ELECTION): InjectionToken<LeaderService> {
  if (election === DEFAULT_ELECTION) return LeaderService;
  const token = `LeaderService:${election}`;
  electionNames.set(token, election);
  return token;
}

/** The election whose `LeaderService` has this token; undefined for other tokens. */
export function electionOfLeaderToken(token: unknown): string | undefined {
  return electionNames.get(token);
}

/** The token of an election's `Elector`. Override its provider to use another elector. */
export function getElectorToken(election: string = DEFAULT_ELECTION): string {
  return `Elector:${election}`;
}

/** Injects the `LeaderService` of the election of that name. */
export function InjectLeader(election?: string): ParameterDecorator & PropertyDecorator {
  return Inject(getLeaderToken(election));
}
