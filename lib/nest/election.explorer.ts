import { Injectable, Scope, type InjectionToken } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, ModulesContainer, Reflector } from '@nestjs/core';
import { DEFAULT_ELECTION, InvalidOptionsError, LeaderError, type Disposer } from '../election/internal.js';
import type { EventEmitter2 } from './leader-events.js';
import type { LeaderService } from './leader.service.js';
import { MetadataAccessor } from './metadata.accessor.js';
import {
  ELECTION_NAME,
  GIVEN_OPTIONS,
  RESOLVED_OPTIONS,
  electionOfLeaderToken,
  getElectorToken,
  getLeaderToken,
} from './tokens.js';

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;
/** A provider or controller, as Nest keeps it. */
export type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A class with methods that need an election: gated ones, or hooks. */
export interface Found {
  readonly prototype: object;
  readonly name: string;
  /** The only instance; undefined for a request-scoped or transient class. */
  readonly instance: object | undefined;
}

interface Followed {
  readonly leader: LeaderService;
  readonly onFound: (found: Found) => void;
}

/** The explorers of running applications, for gates, which Nest does not create. */
const exploring = new Set<ElectionExplorer>();

/** To be called by a gate whose instance has no election: its module may have been loaded since the last search. */
export function searchAgain(): void {
  for (const explorer of exploring) explorer.explore();
}

/** Finds what the elections of one application need, in all its modules. */
@Injectable()
export class ElectionExplorer {
  /** By the token of the LeaderService. */
  readonly #followed = new Map<unknown, Followed>();
  readonly #explored = new WeakSet<NestModule>();
  readonly #found = new WeakSet<object>();
  readonly #modulesAtStart: ReadonlySet<NestModule>;
  readonly #discovery: DiscoveryService;
  readonly #scanner = new MetadataScanner();
  readonly #accessor = new MetadataAccessor(new Reflector());
  /** How many modules there were when all of them had been explored. */
  #count = 0;

  /**
   * Creates Nest's services itself: to import DiscoveryModule for them would delay the log about a missing election until Nest has
   * stopped the start.
   */
  constructor(private readonly modules: ModulesContainer) {
    this.#discovery = new DiscoveryService(modules);
    // Nest sets the distances when it knows all modules, before it creates any instance.
    const isLazy = this.hostsOf(ElectionExplorer).some(({ distance }) => distance === 0);
    this.#modulesAtStart = new Set(isLazy ? [] : modules.values());
  }

  get providers(): Wrapper[] {
    return this.#discovery.getProviders();
  }

  /** The modules that provide a class. */
  hostsOf(type: object): NestModule[] {
    return this.providers.flatMap(({ token, host }) => (token === type && host !== undefined ? [host] : []));
  }

  /** The names of all elections, sorted. */
  get elections(): string[] {
    return [...new Set(this.#names().map(({ instance }) => instance as string))].sort();
  }

  /** The modules that contain an election of that name. There should be one. */
  holdersOf(election: string): NestModule[] {
    return this.#names().flatMap(({ instance, host }) =>
      instance === election && host !== undefined ? [host] : [],
    );
  }

  #names(): Wrapper[] {
    return this.providers.filter(({ token }) => token === ELECTION_NAME);
  }

  /** Whether Nest calls the hooks of a module. It does not for a lazily loaded module. */
  callsHooksOf(module: NestModule): boolean {
    return this.#modulesAtStart.has(module);
  }

  /** Adds this package's interceptor and filters to the handlers of all classes. */
  prepareHandlers(): void {
    for (const prototype of this.prototypes()) {
      for (const [name, handler] of this.methodsOf(prototype))
        this.#accessor.prepareHandler(prototype, name, handler);
    }
  }

  /** The prototypes of all providers and controllers, also of those that come from a factory or a value. */
  prototypes(): object[] {
    const found = this.#wrappersIn().map(({ metatype, inject, instance }) => {
      if (typeof metatype === 'function' && !Array.isArray(inject)) return metatype.prototype as unknown;
      return isObject(instance) ? (Object.getPrototypeOf(instance) as unknown) : undefined;
    });
    return [...new Set(found)]
      .filter(isObject)
      .filter(({ constructor }) => typeof constructor === 'function');
  }

  /** The methods of a class by name, also inherited ones. */
  methodsOf(prototype: object): (readonly [name: string, method: object])[] {
    return this.#scanner.getAllMethodNames(prototype).flatMap((name) => {
      const method = (prototype as Record<string, unknown>)[name];
      return typeof method === 'function' ? [[name, method] as const] : [];
    });
  }

  /** The emitters of `@nestjs/event-emitter`, recognized by a property, because many classes have the name `EventEmitter`. */
  get eventEmitters(): EventEmitter2[] {
    const found = this.providers.filter(
      ({ token }) => typeof token === 'function' && 'EventEmitter2' in token && token.EventEmitter2 === token,
    );
    return [...new Set(found.map(({ instance }) => instance as unknown))].filter(isEmitter);
  }

  /** Calls `onFound` with each class that needs this election, once, also in lazily loaded modules. */
  follow(leader: LeaderService, onFound: (found: Found) => void): void {
    this.#followed.set(getLeaderToken(leader.election), { leader, onFound });
  }

  /** From now on gates can ask for another search. The returned function ends that. */
  open(): Disposer {
    exploring.add(this);
    return () => {
      exploring.delete(this);
    };
  }

  /** Searches the modules that have not been searched completely. An instance of a factory, or a value, gets its elections. */
  explore(): void {
    // Called at every event of every election, and an application may have a thousand elections.
    if (this.modules.size === this.#count) return;
    const modules = [...this.modules.values()].filter((module) => !this.#explored.has(module));
    for (const module of modules) {
      const isWhole = this.#wrappersIn([module]).map((wrapper) => this.#look(wrapper));
      if (!isWhole.includes(false)) this.#explored.add(module);
    }
    this.#count = modules.every((module) => this.#explored.has(module)) ? this.modules.size : 0;
  }

  #wrappersIn(modules?: NestModule[]): Wrapper[] {
    return [...this.#discovery.getProviders({}, modules), ...this.#discovery.getControllers({}, modules)];
  }

  /** @returns false if the instance is not complete yet. */
  #look(wrapper: Wrapper): boolean {
    if (wrapper.isAlias) return true;
    const isOwn = isCreatedFromClass(wrapper);
    const isSingle = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
    const instance: unknown = wrapper.instance;
    const prototype: unknown = isOwn
      ? (wrapper.metatype as { readonly prototype: unknown }).prototype
      : isSingle && isObject(instance) && Object.getPrototypeOf(instance);
    // The factory has not returned yet: its module is being loaded.
    if (Array.isArray(wrapper.inject) && isSingle && (instance === undefined || instance === null))
      return false;
    if (!isObject(prototype) || typeof prototype.constructor !== 'function') return true;
    const needed = this.#neededBy(prototype.constructor);
    if (needed.length === 0) return true;
    if (!isSingle) return this.#tell(prototype, prototype, needed);
    if (!isObject(instance)) return true;
    if (!isOwn) give(instance, needed);
    // Nest creates an instance first, and then injects its properties.
    else if (needed.some(({ key }) => !(key in instance))) return false;
    return this.#tell(instance, prototype, needed);
  }

  #neededBy(type: object): readonly Needed[] {
    return this.#accessor.propertiesOf(type).flatMap(({ key, type: token }) => {
      const followed = this.#followed.get(token);
      return typeof key === 'symbol' && followed !== undefined ? [{ key, followed }] : [];
    });
  }

  #tell(what: object, prototype: object, needed: readonly Needed[]): true {
    if (this.#found.has(what)) return true;
    this.#found.add(what);
    const found = {
      prototype,
      name: prototype.constructor.name,
      instance: what === prototype ? undefined : what,
    };
    for (const { onFound } of new Set(needed.map(({ followed }) => followed))) onFound(found);
    return true;
  }

  /**
   * Refuses request-scoped options: Nest creates what depends on a request for each request, and not at start, so the election
   * would never begin.
   *
   * @param part a provider of the election's module that Nest creates last.
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS`, which names the request-scoped provider.
   */
  refuseRequestScope(election: string, part: InjectionToken): void {
    const own = [part, getElectorToken(election), getLeaderToken(election), GIVEN_OPTIONS, RESOLVED_OPTIONS];
    for (const { providers } of this.holdersOf(election)) {
      const wrapper = providers.get(part);
      if (wrapper === undefined || wrapper.isDependencyTreeStatic()) continue;
      const [first, ...others] = wayToRequest(wrapper)
        .filter(({ token }) => !own.includes(token))
        .map(({ name }) => String(name));
      const way = others.map((name) => `, which depends on ${name}`).join('');
      const violation =
        `they depend on ${first ?? 'a request'}${way}, which is request-scoped: there is no request when the election begins; ` +
        `inject providers of the default scope`;
      throw new InvalidOptionsError([violation], `The options of the election '${election}'`);
    }
  }

  /**
   * The message for an election that a class or factory injects and no module provides. Nest stops the start, but does not know
   * which elections exist.
   */
  missingElection(): LeaderError | undefined {
    const provided = new Set(this.providers.map(({ token }) => token));
    for (const { providers, controllers, injectables } of this.modules.values()) {
      for (const wrapper of [...providers.values(), ...controllers.values(), ...injectables.values()]) {
        const unknown = this.#tokensNeededBy(wrapper)
          .filter((token) => !provided.has(token as InjectionToken))
          .map(electionOfLeaderToken)
          .find((election) => election !== undefined);
        if (unknown !== undefined) return this.unknownElection(unknown, `${String(wrapper.name)} needs it`);
      }
    }
    return undefined;
  }

  #tokensNeededBy({ inject, metatype }: Wrapper): readonly unknown[] {
    if (Array.isArray(inject)) return inject;
    return typeof metatype === 'function' ? this.#accessor.tokensNeededBy(metatype) : [];
  }

  /** `LEADER_MODULE_MISSING`, with the elections that exist. */
  unknownElection(election: string, why: string, options?: ErrorOptions): LeaderError {
    const known = this.elections.map((each) => `'${each}'`).join(', ');
    const call = `forRoot({ ${election === DEFAULT_ELECTION ? '' : `name: '${election}', `}… })`;
    return new LeaderError(
      'LEADER_MODULE_MISSING',
      `Unknown election '${election}': ${why}. Known elections: ${known === '' ? 'none' : known}. Correct the name, or import ` +
        `LeaderElectionModule.${call} in the root module; in a test, LeaderElectionTestingModule.${call}.`,
      options,
    );
  }
}

interface Needed {
  readonly key: symbol;
  readonly followed: Followed;
}

/** Injects as Nest does for its own instances. The last application wins: a test may provide one value to several. */
function give(instance: object, needed: readonly Needed[]): void {
  for (const { key, followed } of needed) {
    // A frozen object gets no election. Its gate reports that when it is called.
    Reflect.defineProperty(instance, key, { value: followed.leader, writable: true, configurable: true });
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

/** Whether Nest creates the instance from a class, not from a factory or a value. */
export function isCreatedFromClass({ metatype, inject }: Wrapper): boolean {
  return typeof metatype === 'function' && !Array.isArray(inject);
}

function isEmitter(instance: unknown): instance is EventEmitter2 {
  return isObject(instance) && 'emitAsync' in instance;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
