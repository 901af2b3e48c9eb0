import { MetadataScanner } from '@nestjs/core';
import { bounded, isTermOver, type LeadershipTerm } from '../../election/internal.js';
import type { Found } from '../election.explorer.js';
import { enterTerm, runGated } from '../gate/gated-result.js';
import type { LeaderHandle } from '../leader-handle.js';
import { hooksOn, type Hook } from './leadership-hooks.js';

type Method = (...args: unknown[]) => unknown;

/** Calls the methods under `@OnStartedLeading()`, `@OnStoppedLeading()` and `@OnNewLeader()` at the events of one election. */
export class LeadershipHookBinder {
  readonly #leader: LeaderHandle;
  readonly #limitMs: number;
  readonly #warn: (line: string) => void;
  readonly #scanner = new MetadataScanner();
  /** The calls outside any term that have not ended. */
  readonly #running = new Set<Promise<void>>();

  /** @param limitMs for how many milliseconds a shutdown waits for a call outside any term, from its beginning. */
  constructor(leader: LeaderHandle, limitMs: number, warn: (line: string) => void) {
    this.#leader = leader;
    this.#limitMs = limitMs;
    this.#warn = warn;
  }

  /** Calls the hooks of an instance from the next event on. */
  bind({ instance, prototype, name }: Found): void {
    for (const key of this.#scanner.getAllMethodNames(prototype)) {
      for (const given of hooksOn(prototype, key)) {
        const { election, event } = given;
        if (election !== this.#leader.election) continue;
        const hook = `${name}.${key}()`;
        if (instance === undefined) {
          this.#warn(
            `${hook} is a hook for '${event}', and is never called: its class is request-scoped or transient. Move the hook to a ` +
              `provider of the default scope.`,
          );
          continue;
        }
        const method = (instance as Record<string, Method>)[key] as Method;
        this.#listen(given, hook, (...args) => method.apply(instance, args));
      }
    }
  }

  /** Resolves when no call is waited for any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #listen({ event, onError }: Hook, hook: string, call: Method): void {
    const tracked = (...args: unknown[]): unknown => {
      const returned = call(...args);
      this.#track(hook, returned);
      return returned;
    };
    switch (event) {
      case 'startedLeading':
        this.#leader.on(event, ({ term }) => this.#work(term, call, onError === 'stepDown'));
        return;
      case 'stoppedLeading':
        this.#leader.on(event, ({ reason, term }) => tracked(reason, term));
        return;
      case 'newLeader':
        this.#leader.on(event, ({ identity }) => tracked(identity));
        return;
    }
  }

  /** Calls as gated work. Does nothing if the term is already over. */
  #work(term: LeadershipTerm, call: Method, stepsDown: boolean): unknown {
    const leave = enterTerm(term);
    if (leave === undefined) return undefined;
    const failed = (error: unknown): unknown => {
      // A hook that fails only because its term ended does as it should.
      if (isTermOver(error, term)) return undefined;
      // Only this term: a later one has called the hook again.
      if (stepsDown && this.#leader.term === term) void this.#leader.elector.stepDown();
      throw error;
    };
    return runGated(() => call(term), { election: this.#leader.election, term, leave, failed });
  }

  /** Waits for what a hook returned, if it is a promise, and warns if that does not settle within the limit. */
  #track(hook: string, returned: unknown): void {
    if (!(returned instanceof Promise)) return;
    const ended = this.#ended(hook, returned).finally(() => this.#running.delete(ended));
    this.#running.add(ended);
  }

  /** Resolves when the call has ended, with an error or without, or has run for the limit. */
  async #ended(hook: string, call: Promise<unknown>): Promise<void> {
    const [{ clock }, ms] = [this.#leader, this.#limitMs];
    const tooLong = new Error(
      `${hook} has not ended ${String(ms)} ms after it was called (drainTimeout). The shutdown does not wait for it any longer.`,
    );
    try {
      await bounded({ deadline: { clock, ms, error: () => tooLong } }, () => call);
    } catch (error) {
      // Any other error is the hook's own, and is reported where the hook is called.
      if (error === tooLong) this.#warn(tooLong.message);
    }
  }
}
