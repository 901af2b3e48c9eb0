import 'reflect-metadata';
import { Scope } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { InvalidOptionsError, LeaderError } from '../election/index.js';
import {
  DEFAULT_ELECTION,
  electionOfLeaderToken,
  getElectorToken,
  getLeaderToken,
  getLifecycleToken,
  getOptionsToken,
} from './tokens.js';

/** The token under which each election's module provides its name. */
export const ELECTION_NAME = Symbol('nestjs-leader: name of the election');

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;
type Wrapper = NestModule['providers'] extends Map<unknown, infer W> ? W : never;

/** The names of all elections, sorted. */
export function electionsIn(modules: ModulesContainer): string[] {
  return [...new Set([...modules.values()].map(nameIn))].filter((name) => name !== undefined).sort();
}

/** The modules that contain an election of that name. There should be one. */
export function holdersOf(modules: ModulesContainer, election: string): NestModule[] {
  return [...modules.values()].filter((module) => nameIn(module) === election);
}

/**
 * Refuses request-scoped options: Nest creates what depends on a request for each request, and not at start, so the election
 * would never begin.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, which names the request-scoped provider.
 */
export function refuseOfRequests(modules: ModulesContainer, election: string): void {
  for (const { providers } of holdersOf(modules, election)) {
    const lifecycle = providers.get(getLifecycleToken(election));
    if (lifecycle === undefined || lifecycle.isDependencyTreeStatic()) continue;
    const own: unknown[] = [getLifecycleToken, getElectorToken, getLeaderToken, getOptionsToken].map(
      (token) => token(election),
    );
    const [first, ...others] = wayToRequest(lifecycle)
      .filter(({ token }) => !own.includes(token))
      .map(({ name }) => String(name));
    const way = others.map((name) => `, which depends on ${name}`).join('');
    const violation =
      `they depend on ${first ?? 'a request'}${way}, which is request-scoped: there is no request when the election begins; ` +
      `inject providers of the default scope`;
    throw new InvalidOptionsError([violation], `The options of the election '${election}'`);
  }
}

/** The chain of dependencies from a request-scoped provider to the one that makes it so. */
function wayToRequest(wrapper: Wrapper): Wrapper[] {
  const properties = wrapper.getPropertiesMetadata() as { readonly wrapper: Wrapper }[] | undefined;
  const dependencies = [
    ...((wrapper.getCtorMetadata() as Wrapper[] | undefined) ?? []),
    ...(properties ?? []).map((property) => property.wrapper),
  ];
  const next = dependencies.find((dependency) => !dependency.isDependencyTreeStatic());
  return next === undefined || wrapper.scope === Scope.REQUEST ? [wrapper] : [wrapper, ...wayToRequest(next)];
}

/**
 * The message for an election that a class or factory injects and no module provides. Nest stops the start and names the remedy, but it
 * cannot know which elections exist.
 */
export function missingElection(modules: ModulesContainer): LeaderError | undefined {
  const provided = new Set([...modules.values()].flatMap(({ providers }) => [...providers.keys()]));
  for (const { providers, controllers, injectables } of modules.values()) {
    for (const wrapper of [...providers.values(), ...controllers.values(), ...injectables.values()]) {
      const unknown = tokensAskedBy(wrapper)
        .map(electionOfLeaderToken)
        .find((election) => election !== undefined && !provided.has(getLeaderToken(election)));
      if (unknown !== undefined) return unknownElection(modules, unknown, `${String(wrapper.name)} asks for`);
    }
  }
  return undefined;
}

/** `LEADER_MODULE_MISSING`, with the elections that exist. */
export function unknownElection(
  modules: ModulesContainer,
  election: string,
  asked = 'Asked for was',
  options?: ErrorOptions,
): LeaderError {
  const known = electionsIn(modules);
  const name = election === DEFAULT_ELECTION ? '' : `name: '${election}', `;
  return new LeaderError(
    'LEADER_MODULE_MISSING',
    `${asked} the election '${election}', which this application does not have. ` +
      `It has ${known.length === 0 ? 'none' : known.map((each) => `'${each}'`).join(', ')}. Mend the name, or import ` +
      `LeaderElectionModule.forRoot({ ${name}… }) in the root module; in a test, LeaderElectionTestingModule.forRoot({ ${name}… }).`,
    options,
  );
}

function nameIn(module: NestModule): string | undefined {
  return module.providers.get(ELECTION_NAME)?.instance as string | undefined;
}

interface Indexed {
  readonly index: number;
  readonly param: unknown;
}

interface Keyed {
  readonly key: unknown;
  readonly type: unknown;
}

/** The dependencies of a provider, as Nest reads them. */
function tokensAskedBy({ inject, metatype }: Wrapper): unknown[] {
  if (Array.isArray(inject)) return inject;
  if (typeof metatype !== 'function') return [];
  const of = <T>(key: string): T[] => (Reflect.getMetadata(key, metatype) as T[] | undefined) ?? [];
  const params = [...of<unknown>('design:paramtypes')];
  for (const { index, param } of of<Indexed>('self:paramtypes')) params[index] = param;
  for (const index of of<number>('optional:paramtypes')) params[index] = undefined;
  const optional = of<unknown>('optional:properties_metadata');
  const properties = of<Keyed>('self:properties_metadata').filter(({ key }) => !optional.includes(key));
  return [...params, ...properties.map(({ type }) => type)];
}
