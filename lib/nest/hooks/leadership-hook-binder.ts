import { MetadataScanner, type ModulesContainer } from '@nestjs/core';
import { runInTerm, type LeadershipTerm } from '../../election/index.js';
import { gateResult } from '../gate/gated-result.js';
import type { LeaderService } from '../leader.service.js';
import { hooksOn, type HookEvent } from './leadership-hooks.js';
import { enterTerm, isEndOf } from '../gate/term-entry.js';

type Method = (...args: unknown[]) => unknown;

/** Finds the methods under `@OnStartedLeading()` and its like, and has them called on one election's events. */
export class LeadershipHookBinder {
  readonly #leader: LeaderService;
  readonly #warn: (line: string) => void;
  readonly #scanner = new MetadataScanner();

  constructor(leader: LeaderService, warn: (line: string) => void) {
    this.#leader = leader;
    this.#warn = warn;
  }

  /** Once, when every instance has been made. */
  bindAll(modules: ModulesContainer): void {
    const bound = new Set<object>();
    for (const { providers, controllers } of modules.values()) {
      for (const wrapper of [...providers.values(), ...controllers.values()]) {
        const { instance, metatype } = wrapper as { instance: unknown; metatype: unknown };
        if (wrapper.isAlias || !isClass(metatype)) continue;
        if (!wrapper.isDependencyTreeStatic()) this.#refuse(metatype);
        else if (typeof instance === 'object' && instance !== null && !bound.has(instance)) {
          bound.add(instance);
          this.#bind(instance);
        }
      }
    }
  }

  #bind(instance: object): void {
    const prototype = Object.getPrototypeOf(instance) as object;
    for (const [key, event] of this.#hooksOf(prototype)) {
      const method = (instance as Record<string, Method>)[key] as Method;
      this.#listen(event, (...args) => method.apply(instance, args));
    }
  }

  #hooksOf(prototype: object): [key: string, event: HookEvent][] {
    return this.#scanner.getAllMethodNames(prototype).flatMap((key) =>
      hooksOn(prototype, key)
        .filter(({ election }) => election === this.#leader.election)
        .map(({ event }): [string, HookEvent] => [key, event]),
    );
  }

  /** There is no instance to call: one is made for every request. */
  #refuse(metatype: { readonly name: string; readonly prototype: object }): void {
    for (const [key, event] of this.#hooksOf(metatype.prototype)) {
      this.#warn(
        `${metatype.name}.${key}() wants to hear of '${event}' and is never called: its class is request-scoped or ` +
          `transient. Put the hook on a provider of the default scope.`,
      );
    }
  }

  #listen(event: HookEvent, call: Method): void {
    switch (event) {
      case 'startedLeading':
        this.#leader.on(event, ({ term }) => this.#work(term, call));
        return;
      case 'stoppedLeading':
        this.#leader.on(event, ({ reason, term }) => call(reason, term));
        return;
      case 'newLeader':
        this.#leader.on(event, ({ identity }) => call(identity));
        return;
    }
  }

  /** As gated work; none if the term is over before it could begin. */
  #work(term: LeadershipTerm, call: Method): unknown {
    const { election } = this.#leader;
    const leave = enterTerm(term);
    if (leave === undefined) return undefined;
    const failed = (error: unknown): unknown => ownErrorIsNone(error, term);
    let result: unknown;
    try {
      result = runInTerm(election, term, () => call(term));
    } catch (error) {
      leave();
      return failed(error);
    }
    return gateResult(result, { election, term, leave, failed });
  }
}

/** It did as it was told when its term ended. */
function ownErrorIsNone(error: unknown, term: LeadershipTerm): unknown {
  if (!isEndOf(term, error)) throw error;
  return undefined;
}

function isClass(metatype: unknown): metatype is { readonly name: string; readonly prototype: object } {
  return (
    typeof metatype === 'function' && typeof metatype.prototype === 'object' && metatype.prototype !== null
  );
}
