import 'reflect-metadata';
import { Inject } from '@nestjs/common';
import { PROPERTY_DEPS_METADATA } from '@nestjs/common/constants.js';
import { DEFAULT_ELECTION } from '../../election/internal.js';
import { getLeaderToken } from '../tokens.js';

/**
 * Makes Nest inject the election's LeaderService into every instance of a decorated class, or fail at start. Nest's error then names the
 * property, so the name says which decorator needs the election, and what to import.
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
      `@${decorator}() cannot decorate the static method '${String(method)}': Nest injects the election into instances only.`,
    );
  }
  const call = election === DEFAULT_ELECTION ? 'forRoot({ … })' : `forRoot({ name: '${election}', … })`;
  const key = Symbol.for(
    `@${decorator}() needs the election '${election}': import LeaderElectionModule.${call} in the root module`,
  );
  // Nest injects each entry of its list into each instance, so one entry serves all methods of a class.
  const injected: unknown = Reflect.getMetadata(PROPERTY_DEPS_METADATA, prototype.constructor);
  const isInjected = ((injected ?? []) as { readonly key: unknown }[]).some((entry) => entry.key === key);
  if (!isInjected) Inject(getLeaderToken(election))(prototype, key);
  return key;
}
