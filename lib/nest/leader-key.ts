import { Inject } from '@nestjs/common';
import { DEFAULT_ELECTION, getLeaderToken } from './tokens.js';

/**
 * Has Nest put the election's LeaderService into every instance of a decorated class, or fail at boot. The property's
 * name is what Nest shows when it cannot: which decorator asks, and what to import.
 */
export function injectLeaderFor(decorator: string, prototype: object, election: string): symbol {
  const call = election === DEFAULT_ELECTION ? 'forRoot({ … })' : `forRoot({ name: '${election}', … })`;
  const key = Symbol.for(
    `@${decorator}() needs the election '${election}': import LeaderElectionModule.${call} in the root module`,
  );
  Inject(getLeaderToken(election))(prototype, key);
  return key;
}
