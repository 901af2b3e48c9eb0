import { InvalidOptionsError, fieldsOf, kindOf, show } from '../../election/internal.js';
import type { LeaderElectionOptionsFactory } from './module-options.js';
import { optionNames } from './resolve-options.js';

const extras = ['name', 'isGlobal'];

/**
 * A copy of the argument of forRoot() or forRootAsync().
 *
 * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` if it is not an object.
 */
export function givenTo<Options extends object>(method: string, options: Options): Options {
  const given = fieldsOf(options, method === 'forRoot' ? [...extras, ...optionNames] : []);
  if (given !== undefined) return given as Options;
  throw new InvalidOptionsError([`they are ${kindOf(options)}: they must be an object`], optionsOf(method));
}

/** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
export function refuseInvalidExtras(name: unknown, isGlobal: unknown): void {
  const isName = name === undefined || (typeof name === 'string' && name.trim() !== '');
  const violations = [
    ...(isName ? [] : [`name is ${show(name)}: it must be a non-empty string`]),
    ...(isGlobal === undefined || typeof isGlobal === 'boolean'
      ? []
      : [`isGlobal is ${show(isGlobal)}: it must be true or false`]),
  ];
  if (violations.length > 0) throw new InvalidOptionsError(violations);
}

const kinds = {
  useFactory: 'function',
  useClass: 'function',
  useExisting: 'function',
  inject: 'array',
  imports: 'array',
} as const;

/** @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` */
export function refuseInvalidWay(options: object): void {
  const given: Readonly<Record<string, unknown>> = { ...options };
  const ways = (['useFactory', 'useClass', 'useExisting'] as const).filter((way) => given[way] !== undefined);
  const violations = [
    ...(ways.length === 1
      ? []
      : [
          `forRootAsync was given ${String(ways.length)} of useFactory, useClass and useExisting: it must be exactly one`,
        ]),
    ...Object.entries(kinds)
      .filter(([name, kind]) => given[name] !== undefined && !isOf(kind, given[name]))
      .map(
        ([name, kind]) =>
          `${name} is ${kindOf(given[name])}: it must be ${kind === 'array' ? 'an array' : name === 'useFactory' ? 'a function' : 'a class'}`,
      ),
  ];
  if (violations.length > 0) throw new InvalidOptionsError(violations, optionsOf('forRootAsync'));
}

/** Calls the factory. @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` if it is not a factory. */
export function madeBy(factory: LeaderElectionOptionsFactory): unknown {
  const make: unknown = Reflect.get(factory, 'createLeaderElectionOptions');
  if (typeof make === 'function') return factory.createLeaderElectionOptions();
  const violation = `createLeaderElectionOptions of ${kindOf(factory)} is ${kindOf(make)}: it must be a function that returns the options`;
  throw new InvalidOptionsError([violation], optionsOf('forRootAsync'));
}

function isOf(kind: 'function' | 'array', value: unknown): boolean {
  return kind === 'array' ? Array.isArray(value) : typeof value === kind;
}

function optionsOf(method: string): string {
  return `The options of LeaderElectionModule.${method}()`;
}
