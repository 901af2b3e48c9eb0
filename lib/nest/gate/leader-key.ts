import 'reflect-metadata';
import { Inject } from '@nestjs/common';
import { DEFAULT_ELECTION, getLeaderToken } from '../tokens.js';

/**
 * Has Nest put the election's LeaderService into every instance of a decorated class, or fail at boot. The property's
 * name is what Nest shows when it cannot: which decorator asks, and what to import.
 *
 * @throws TypeError for a static method.
 */
export function injectLeaderFor(
  decorator: string,
  { prototype, method }: { prototype: object; method: string | symbol },
  election: string,
): symbol {
  if (typeof prototype === 'function') {
    throw new TypeError(
      `@${decorator}() stands on the static method '${String(method)}': Nest makes no instance for it.`,
    );
  }
  const call = election === DEFAULT_ELECTION ? 'forRoot({ … })' : `forRoot({ name: '${election}', … })`;
  const key = Symbol.for(
    `@${decorator}() needs the election '${election}': import LeaderElectionModule.${call} in the root module`,
  );
  Inject(getLeaderToken(election))(prototype, key);
  return key;
}

/** Where Nest keeps which property of a class gets which provider. */
const INJECTED_PROPERTIES = 'self:properties_metadata';

/** The properties in which an instance of that class looks for the LeaderService of that election. */
export function leaderKeysOf(ofClass: object, election: string): symbol[] {
  const injected = (Reflect.getMetadata(INJECTED_PROPERTIES, ofClass) ?? []) as readonly {
    readonly key: unknown;
    readonly type: unknown;
  }[];
  const token = getLeaderToken(election);
  return injected.flatMap(({ key, type }) => (typeof key === 'symbol' && type === token ? [key] : []));
}
