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
  /** The only instance; undefined for a request-scoped or transient class. */
  readonly instance: object | undefined;
}

/** The searches of all elections of running applications. */
const searches = new Set<() => void>();

/** Registers `search`. The returned function removes it. */
export function onSearch(search: () => void): Disposer {
  searches.add(search);
  return () => {
    searches.delete(search);
  };
}

/** To be called by a gate whose instance has no election: its module may have been loaded since the last search. */
export function searchAgain(): void {
  for (const search of searches) search();
}

/**
 * Finds the instances that need one election, each of them once, also in lazily loaded modules. It visits every provider and
 * controller of the application, as @nestjs/schedule does.
 */
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

  /** The instances not found before, in the order of modules. An instance of a factory, or a value, gets its election. */
  findNew(): Found[] {
    // This runs at every event of every election, and an application may have a thousand elections.
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
    // A factory has not returned yet, because its module is being loaded.
    if (Array.isArray(wrapper.inject) && isSingle && (instance === undefined || instance === null))
      return 'later';
    if (!isObject(prototype) || typeof prototype.constructor !== 'function') return 'nothing';
    const keys = leaderKeysOf(prototype.constructor, this.#leader.election);
    if (keys.length === 0) return 'nothing';
    const { name } = prototype.constructor;
    if (!isSingle) return this.#once(prototype, { prototype, name, instance: undefined });
    if (!isObject(instance)) return 'nothing';
    if (!madeByNest) this.#give(instance, keys);
    // Nest creates an instance first, and then injects its properties.
    else if (keys.some((key) => !(key in instance))) return 'later';
    return this.#once(instance, { prototype, name, instance });
  }

  #once(what: object, found: Found): Found | 'nothing' {
    if (this.#found.has(what)) return 'nothing';
    this.#found.add(what);
    return found;
  }

  /** Injects as Nest does for its own instances. The last application wins: a test may provide one value to several. */
  #give(instance: object, keys: readonly symbol[]): void {
    for (const key of keys) {
      // A frozen object gets no election. Its gate reports that when it is called.
      Reflect.defineProperty(instance, key, { value: this.#leader, writable: true, configurable: true });
    }
  }
}

/** Whether Nest creates the instance from a class, not from a factory or a value. */
function isMadeByNest({ metatype, inject }: Wrapper): boolean {
  return typeof metatype === 'function' && !Array.isArray(inject);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function prototypeOf(instance: unknown): unknown {
  return isObject(instance) && Object.getPrototypeOf(instance);
}
