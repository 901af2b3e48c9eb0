/** One election, to which a test feeds events: each step and its effects. */
import type { MonotonicMs, WallMs } from '../../lib/election/clock.js';
import {
  resolveElectionOptions,
  type ElectionOptions,
  type LeaderErrorCode,
  type LeaseRecord,
  type LeaseRequestError,
  type LeaseSnapshot,
} from '../../lib/election/index.js';
import type { Picture, Reading } from '../../lib/election/life.js';
import {
  describe,
  newElection,
  step,
  type Election,
  type ElectionEffect,
  type MachineEvent,
  type RequestEffect,
} from '../../lib/election/machine.js';

export type WriteEffect = RequestEffect & { do: 'write' };

/** The options of an {@link ElectionByHand} that gives none. */
export const OPTIONS = optionsWith({});

function optionsWith(options: Partial<ElectionOptions>): ReturnType<typeof resolveElectionOptions> {
  return resolveElectionOptions(
    { leaseName: 'simulated', leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000, ...options },
    { leaseNamespace: 'default', identity: 'baz' },
  );
}

/** The election of `baz`. */
export class ElectionByHand {
  state: Election;
  now = 0;
  running = 0;
  stands = true;
  #version = 0;

  constructor({
    isGuarded = false,
    ...options
  }: Partial<ElectionOptions> & { readonly isGuarded?: boolean } = {}) {
    const lease = 'default/simulated';
    this.state = newElection({ options: optionsWith(options), slot: 0, lease, canWatch: true, isGuarded });
  }

  /** What the instruments show. */
  get reading(): Reading {
    const { now, running, stands } = this;
    return {
      now: now as MonotonicMs,
      date: (1_000_000_000_000 + now) as WallMs,
      chance: 0,
      running,
      stands,
    };
  }

  /** The lease as last seen. */
  get lease(): LeaseSnapshot {
    const { observation } = this.state.sight;
    if (observation.kind !== 'present') throw new Error('There is no Lease.');
    return observation.snapshot;
  }

  get picture(): Picture {
    return describe(this.state, this.reading);
  }

  /** The problems that are shown. */
  get problems(): LeaderErrorCode[] {
    const { picture } = this;
    return 'problems' in picture ? picture.problems.map(({ code }) => code) : [];
  }

  /** Makes a step, and returns its effects. */
  at(now: number, happening: MachineEvent): readonly ElectionEffect[] {
    this.now = now;
    const { state, effects } = step(this.state, { ...happening, at: this.reading });
    this.state = state;
    return effects;
  }

  /** It follows, its watch is open, and its first read, sent at 0, is answered at 2. */
  finds(record: LeaseRecord | undefined): readonly ElectionEffect[] {
    this.at(0, { type: 'start', objection: undefined });
    this.at(1, { type: 'watchOpened', stream: 1 });
    return this.read(2, 1, record && this.stored(record));
  }

  /** It has seen that there is no Lease, its watch is open, and its first write is in flight, sent at 2. */
  claims(): WriteEffect {
    return writeIn(this.finds(undefined));
  }

  /** It leads by a write that was sent at 2 and answered at 4. */
  leads(): this {
    this.written(4, this.claims());
    if (this.state.life.phase.kind === 'following') throw new Error('It does not lead.');
    return this;
  }

  /** A read is answered. */
  read(now: number, number: number, value: LeaseSnapshot | undefined): readonly ElectionEffect[] {
    return this.at(now, { type: 'readReplied', number, reply: { ok: true, value } });
  }

  /** A read fails. */
  readFails(now: number, number: number, error: LeaseRequestError): readonly ElectionEffect[] {
    return this.at(now, { type: 'readReplied', number, reply: { ok: false, error } });
  }

  /** The write succeeds, and is answered. */
  written(now: number, { number, record }: WriteEffect): readonly ElectionEffect[] {
    const snapshot = this.stored(record);
    return this.at(now, {
      type: 'writeReplied',
      number,
      reply: { ok: true, value: { kind: 'written', snapshot } },
    });
  }

  /** The write is refused, because the Lease has changed. */
  conflicts(now: number, { number }: WriteEffect): readonly ElectionEffect[] {
    return this.at(now, { type: 'writeReplied', number, reply: { ok: true, value: { kind: 'conflict' } } });
  }

  /** The write fails. */
  writeFails(now: number, { number }: WriteEffect, error: LeaseRequestError): readonly ElectionEffect[] {
    return this.at(now, { type: 'writeReplied', number, reply: { ok: false, error } });
  }

  /** The lease with that record, under the next version. */
  stored(record: LeaseRecord): LeaseSnapshot {
    this.#version += 1;
    return { record, resourceVersion: String(this.#version), uid: 'uid' };
  }

  /** The watch shows that record. */
  shown(now: number, record: LeaseRecord): readonly ElectionEffect[] {
    return this.shows(now, this.stored(record));
  }

  /** The watch shows the lease. */
  shows(now: number, snapshot: LeaseSnapshot): readonly ElectionEffect[] {
    const { stream } = this.state.watch;
    return this.at(now, { type: 'watchShowed', stream, event: { kind: 'seen', snapshot } });
  }

  /** The watch shows that the lease was deleted. */
  deleted(now: number): readonly ElectionEffect[] {
    this.#version += 1;
    const { stream } = this.state.watch;
    const resourceVersion = String(this.#version);
    return this.at(now, { type: 'watchShowed', stream, event: { kind: 'deleted', resourceVersion } });
  }

  /** It steps down. Without work, the release is sent at once. */
  stepsDown(now: number, cooldown = 0): readonly ElectionEffect[] {
    this.at(now, { type: 'stepDown', cooldown });
    return this.at(now, { type: 'termClosed', term: this.state.life.terms });
  }
}

/** The effects in a word each. */
export function kinds(effects: readonly ElectionEffect[]): string[] {
  return effects.map((effect) => (effect.do === 'tell' ? effect.event.type : effect.do));
}

/** The errors that observers are told. */
export function errorsIn(effects: readonly ElectionEffect[]): LeaderErrorCode[] {
  return effects.flatMap((effect) =>
    effect.do === 'tell' && effect.event.type === 'error' ? [effect.event.error.code] : [],
  );
}

export function writeIn(effects: readonly ElectionEffect[]): WriteEffect {
  const write = effects.find((effect) => effect.do === 'write');
  if (write === undefined) throw new Error(`No write among: ${kinds(effects).join(', ')}`);
  return write;
}
