import 'reflect-metadata';
import { Inject } from '@nestjs/common';
import { DEFAULT_ELECTION, getLeaderToken } from '../tokens.js';

/**
 * Lets Nest inject the election's LeaderService into every instance of a decorated class, or fail at start. Nest shows the name of the
 * property if it cannot, so the name says which decorator needs it, and what to import.
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
  // Nest injects each entry of the list into each instance, so one entry serves all methods of a class.
  const isInjected = injectedInto(prototype.constructor).some((property) => property.key === key);
  if (!isInjected) Inject(getLeaderToken(election))(prototype, key);
  return key;
}

/** The properties for the LeaderService of an election in the instances of a class. */
export function leaderKeysOf(ofClass: object, election: string): symbol[] {
  const token = getLeaderToken(election);
  return injectedInto(ofClass).flatMap(({ key, type }) =>
    typeof key === 'symbol' && type === token ? [key] : [],
  );
}

/** Nest's list of the properties of a class and their providers. */
function injectedInto(ofClass: object): readonly { readonly key: unknown; readonly type: unknown }[] {
  return (Reflect.getMetadata('self:properties_metadata', ofClass) ?? []) as ReturnType<typeof injectedInto>;
}
