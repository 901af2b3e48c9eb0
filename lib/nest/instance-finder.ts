/** Finds what an application is made of: every provider and controller, whoever made it, as @nestjs/schedule does. */
import type { ModulesContainer } from '@nestjs/core';
import type { Disposer } from '../election/index.js';
import { leaderKeysOf } from './gate/leader-key.js';
import type { LeaderService } from './leader.service.js';

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;
type Wrapper = NestModule['providers'] extends Map<unknown, infer W> ? W : never;

/** A class with methods that need the election: gated ones, or hooks. */
export interface Found {
  readonly prototype: object;
  readonly name: string;
  /** The one instance; undefined for a class of which there is one for every request, or for every user. */
  readonly instance: object | undefined;
}

/** Of each election of an application that is up. */
const searches = new Set<() => void>();

/** Has `search` called until the returned function is. */
export function onSearch(search: () => void): Disposer {
  searches.add(search);
  return () => {
    searches.delete(search);
  };
}

/** For a gate whose instance has no election: its module may have been loaded since anybody looked. */
export function searchAgain(): void {
  for (const search of searches) search();
}

/** Finds each instance that needs one election, once, however often it is asked; also in modules that are loaded lazily. */
export class InstanceFinder {
  readonly #leader: LeaderService;
  readonly #modules: ModulesContainer;
  readonly #explored = new WeakSet<NestModule>();
  readonly #found = new WeakSet<object>();
  #count = 0;

  constructor(leader: LeaderService, modules: ModulesContainer) {
    this.#leader = leader;
    this.#modules = modules;
  }

  /** What was not found before, in order of modules. An instance that a factory made, or a value, has its election then. */
  findNew(): Found[] {
    // Looked at for every event of every election, of which an application may have a thousand.
    if (this.#modules.size === this.#count) return [];
    const found = [...this.#modules.values()].flatMap((module) => this.#findIn(module));
    this.#count = [...this.#modules.values()].every((module) => this.#explored.has(module))
      ? this.#modules.size
      : 0;
    return found;
  }

  #findIn(module: NestModule): Found[] {
    if (this.#explored.has(module)) return [];
    const { providers, controllers } = module;
    const seen = [...providers.values(), ...controllers.values()].map((wrapper) => this.#look(wrapper));
    if (!seen.includes('later')) this.#explored.add(module);
    return seen.filter((found) => typeof found === 'object');
  }

  #look(wrapper: Wrapper): Found | 'nothing' | 'later' {
    if (wrapper.isAlias) return 'nothing';
    const madeByNest = isMadeByNest(wrapper);
    const isSingle = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
    const instance: unknown = wrapper.instance;
    const prototype: unknown = madeByNest
      ? (wrapper.metatype as { readonly prototype: unknown }).prototype
      : isSingle && prototypeOf(instance);
    // A factory that has not given anything yet, while its module is being loaded.
    if (Array.isArray(wrapper.inject) && isSingle && (instance === undefined || instance === null))
      return 'later';
    if (!isObject(prototype) || typeof prototype.constructor !== 'function') return 'nothing';
    const keys = leaderKeysOf(prototype.constructor, this.#leader.election);
    if (keys.length === 0) return 'nothing';
    const { name } = prototype.constructor;
    if (!isSingle) return this.#once(prototype, { prototype, name, instance: undefined });
    if (!isObject(instance)) return 'nothing';
    if (!madeByNest) this.#give(instance, keys);
    // Nest makes an instance first and injects its properties then.
    else if (keys.some((key) => !(key in instance))) return 'later';
    return this.#once(instance, { prototype, name, instance });
  }

  #once(what: object, found: Found): Found | 'nothing' {
    if (this.#found.has(what)) return 'nothing';
    this.#found.add(what);
    return found;
  }

  /** What Nest does for an instance of its own. The latest application counts: a test may provide one value to several. */
  #give(instance: object, keys: readonly symbol[]): void {
    for (const key of keys) {
      // An object that is frozen has none then: its gate says so when it is called.
      Reflect.defineProperty(instance, key, { value: this.#leader, writable: true, configurable: true });
    }
  }
}

/** From a class, not from a factory or a value. */
function isMadeByNest({ metatype, inject }: Wrapper): boolean {
  return typeof metatype === 'function' && !Array.isArray(inject);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function prototypeOf(instance: unknown): unknown {
  return isObject(instance) && Object.getPrototypeOf(instance);
}
