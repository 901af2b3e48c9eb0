/** Which elections an application has, and which its classes ask for. */
import 'reflect-metadata';
import type { ModulesContainer } from '@nestjs/core';
import { LeaderError } from '../election/index.js';
import { DEFAULT_ELECTION, electionOfLeaderToken, getLeaderToken } from './tokens.js';

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
