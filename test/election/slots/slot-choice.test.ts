/** Which slot to stand for, and which slots nobody leads. Times are seconds. */
import { describe, expect, it } from 'vitest';
import { LONG_AGO, NEVER, type MonotonicMs } from '../../../lib/election/clock.js';
import { chooseSlot, emptySince, unledAt, type SlotView } from '../../../lib/election/slots/slot-choice.js';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;
const view = (changes: Partial<SlotView>): SlotView => ({
  held: false,
  leader: '',
  freeAt: undefined,
  campaignAt: LONG_AGO,
  ...changes,
});
const free = view({});
const held = view({ held: true });
/** It has another leader until then; without an instant, nobody knows until when. */
const led = (seconds?: number): SlotView =>
  view({ leader: 'other', freeAt: seconds === undefined ? undefined : at(seconds) });
const notBefore = (slot: SlotView, seconds: number): SlotView => ({ ...slot, campaignAt: at(seconds) });

const show = (instant: MonotonicMs): number | string => (instant === NEVER ? 'never' : instant / 1000);

describe('at 10 s, with a random number of 0.6 and a retryPeriod of 2 s, a process', () => {
  it.each<[string, SlotView[], number | undefined, number | undefined, number | string]>([
    ['keeps the slot that it holds', [free, held, free], undefined, 1, 'never'],
    ['keeps the slot that it holds, whichever it stood for', [held, free], 1, 0, 'never'],
    ['that holds two keeps the one that it stood for', [held, held], 1, 1, 'never'],
    ['that holds the first slot keeps it', [held, free], 0, 0, 'never'],
    ['chooses among the free slots', [led(), free, free], undefined, 2, 12],
    ['may choose the first', [free, led(), led()], undefined, 0, 12],
    ['stays with a free slot', [free, free, free], 0, 0, 12],
    ['leaves a slot that has got a leader', [led(), free], 0, 1, 12],
    ['finds a slot free whose lease has run out', [led(20), led(10)], undefined, 1, 12],
    ['waits for the slot that is free first', [led(20), led(15), led(), led(17)], 0, 1, 15],
    [
      'waits for no slot in particular if it knows none that will be free',
      [led(), led()],
      undefined,
      0,
      'never',
    ],
    [
      'waits until the last cool-down has ended',
      [notBefore(free, 13), notBefore(free, 11)],
      0,
      undefined,
      13,
    ],
    ['stands as soon as the last cool-down has ended', [notBefore(free, 10), led()], undefined, 0, 12],
    [
      'keeps the slot that it holds during a cool-down of another',
      [held, notBefore(free, 13)],
      0,
      0,
      'never',
    ],
  ])('%s', (_, slots, present, slot, chooseAgainAt) => {
    const before = { slot: present, chooseAgainAt: NEVER };
    const choice = chooseSlot(slots, { now: at(10), before, retryPeriod: 2_000, random: () => 0.6 });
    expect([choice.slot, show(choice.chooseAgainAt)]).toEqual([slot, chooseAgainAt]);
  });
});

it('events do not prolong the time for which a free slot is tried', () => {
  const before = { slot: 0, chooseAgainAt: at(11) };
  const circumstances = { now: at(10), before, retryPeriod: 2_000, random: () => 0.6 };
  expect(chooseSlot([free, free], circumstances)).toEqual(before);
});

it('a slot is empty since it was first seen so, unless this process holds it or its last holder must be respected', () => {
  const slots = [free, free, held, led(5), led()];
  const before = [at(3), undefined, at(3), at(3), at(3)];
  expect(emptySince(slots, before, at(10))).toEqual([at(3), at(10), undefined, undefined, undefined]);
});

it('a slot is unled when it has been empty, or its lease has been run out, for so long', () => {
  const slots = [free, held, led(5), led()];
  const dueAt = unledAt(slots, [at(3), undefined, undefined, undefined], 30_000);
  expect(dueAt.map(show)).toEqual([33, 'never', 35, 'never']);
});
