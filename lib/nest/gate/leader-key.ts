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
  // Nest injects for each entry of the list, into each instance of a request: one will do for all methods of a class.
  if (!isInjected(prototype, key)) Inject(getLeaderToken(election))(prototype, key);
  return key;
}

function isInjected({ constructor }: object, key: symbol): boolean {
  const properties = Reflect.getMetadata('self:properties_metadata', constructor) as
    readonly { readonly key: unknown }[] | undefined;
  return properties?.some((property) => property.key === key) === true;
}
