import { MetadataScanner } from '@nestjs/core';
import { isTermOver, runInTerm, type LeadershipTerm } from '../../election/index.js';
import { gateResult } from '../gate/gated-result.js';
import type { Found } from '../instance-finder.js';
import type { LeaderService } from '../leader.service.js';
import type { HookCalls } from './hook-calls.js';
import { hooksOn, type HookEvent } from './leadership-hooks.js';
import { enterTerm } from '../gate/term-entry.js';

type Method = (...args: unknown[]) => unknown;

/** Calls the methods under `@OnStartedLeading()`, `@OnStoppedLeading()` and `@OnNewLeader()` at the events of one election. */
export class LeadershipHookBinder {
  readonly #leader: LeaderService;
  readonly #calls: HookCalls;
  readonly #warn: (line: string) => void;
  readonly #scanner = new MetadataScanner();

  constructor(leader: LeaderService, calls: HookCalls, warn: (line: string) => void) {
    this.#leader = leader;
    this.#calls = calls;
    this.#warn = warn;
  }

  /** Calls the hooks of an instance from the next event on. */
  bind({ instance, prototype, name }: Found): void {
    for (const [key, event] of this.#hooksOf(prototype)) {
      const hook = `${name}.${key}()`;
      if (instance === undefined) this.#refuse(hook, event);
      else {
        const method = (instance as Record<string, Method>)[key] as Method;
        this.#listen(event, hook, (...args) => method.apply(instance, args));
      }
    }
  }

  #hooksOf(prototype: object): [key: string, event: HookEvent][] {
    return this.#scanner.getAllMethodNames(prototype).flatMap((key) =>
      hooksOn(prototype, key)
        .filter(({ election }) => election === this.#leader.election)
        .map(({ event }): [string, HookEvent] => [key, event]),
    );
  }

  /** Warns about hooks of a request-scoped class: there is no instance to call. */
  #refuse(hook: string, event: HookEvent): void {
    this.#warn(
      `${hook} wants to hear of '${event}' and is never called: its class is request-scoped or transient. Put the hook on ` +
        `a provider of the default scope.`,
    );
  }

  #listen(event: HookEvent, hook: string, call: Method): void {
    const told = (...args: unknown[]): unknown => {
      const returned = call(...args);
      this.#calls.track(hook, returned);
      return returned;
    };
    switch (event) {
      case 'startedLeading':
        this.#leader.on(event, ({ term }) => this.#work(term, call));
        return;
      case 'stoppedLeading':
        this.#leader.on(event, ({ reason, term }) => told(reason, term));
        return;
      case 'newLeader':
        this.#leader.on(event, ({ identity }) => told(identity));
        return;
    }
  }

  /** Calls as gated work. Does nothing if the term is already over. */
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

/** Whether a hook failed only because its term ended, which is as intended. */
function ownErrorIsNone(error: unknown, term: LeadershipTerm): unknown {
  if (!isTermOver(error, term)) throw error;
  return undefined;
}
