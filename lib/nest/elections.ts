/** Which elections an application has, and which its classes ask for. */
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

/** What each election's module provides its name under. */
export const ELECTION_NAME = Symbol('nestjs-leader: name of the election');

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;
type Wrapper = NestModule['providers'] extends Map<unknown, infer W> ? W : never;

/** The names of all elections, sorted. */
export function electionsIn(modules: ModulesContainer): string[] {
  return [...new Set([...modules.values()].map(nameIn))].filter((name) => name !== undefined).sort();
}

/** The modules that hold an election of that name: one, if all is well. */
export function holdersOf(modules: ModulesContainer, election: string): NestModule[] {
  return [...modules.values()].filter((module) => nameIn(module) === election);
}

/**
 * Nest makes what depends on a request anew for each, and nothing of it at start: such an election would never begin.
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, which names what is request-scoped.
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

/** From what is made for every request, through its dependencies, to the one that is the reason. */
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
 * What to say of an election that a class or factory asks for and nobody provides. Nest stops the boot and names the remedy;
 * which elections there are it cannot know.
 */
export function askedInVain(modules: ModulesContainer): LeaderError | undefined {
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

/** `LEADER_MODULE_MISSING`, with the elections that there are. */
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

/** What a provider cannot be made without: as Nest reads it. */
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
