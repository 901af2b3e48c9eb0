import { LONG_AGO, NEVER, after, earlier, later, type MonotonicMs } from '../clock.js';

/** A slot as seen by this process. */
export interface SlotView {
  /** This process leads the slot, or is handing it over. */
  readonly held: boolean;
  /** The holder; `''` if there is none. */
  readonly leader: string;
  /** When it may be claimed from its holder; undefined if it has no holder, or if that time is not known. */
  readonly freeAt: MonotonicMs | undefined;
  /** No campaign before this instant. */
  readonly campaignAt: MonotonicMs;
}

/** The slot to stand for, and when to choose again if there is no event before. */
export interface SlotChoice {
  /** Undefined: no slot. */
  readonly slot: number | undefined;
  readonly chooseAgainAt: MonotonicMs;
}

/** The choice before the first one. */
export const NO_CHOICE: SlotChoice = { slot: undefined, chooseAgainAt: NEVER };

/** The inputs of a choice besides the slots. */
export interface SlotCircumstances {
  readonly now: MonotonicMs;
  /** The choice before. Its slot is kept if it is held or no worse than the others. */
  readonly before: SlotChoice;
  /** The time after which another free slot is tried, in milliseconds, whatever happens meanwhile. */
  readonly retryPeriod: number;
  readonly random: () => number;
}

/**
 * Chooses the one slot to stand for (only one, because two claims in flight might both succeed): the slot that is held, else a
 * free slot, else the slot that is free first. Renewals only postpone that. A holder that is proven dead changes the
 * state of its slot, and the choice is made again. Pure.
 */
export function chooseSlot(
  slots: readonly SlotView[],
  { now, before, retryPeriod, random }: SlotCircumstances,
): SlotChoice {
  const { slot: present } = before;
  // If a late reply won a second slot, the first one stays chosen, because its term was announced.
  const stillHeld = present !== undefined && slots[present]?.held === true;
  const held = stillHeld ? present : slots.findIndex((slot) => slot.held);
  if (held >= 0) return { slot: held, chooseAgainAt: NEVER };
  // The latest of all slots: work of a term that was lost may still run.
  const campaignAt = slots.map((slot) => slot.campaignAt).reduce((a, b) => later(a, b));
  if (campaignAt > now) return { slot: undefined, chooseAgainAt: campaignAt };
  const free = slots.flatMap((slot, index) => (slotFreeAt(slot) <= now ? [index] : []));
  if (free.length > 0) {
    const tryUntil = after(now, retryPeriod);
    if (present !== undefined && free.includes(present))
      return { slot: present, chooseAgainAt: earlier(before.chooseAgainAt, tryUntil) };
    return { slot: free[Math.floor(random() * free.length)], chooseAgainAt: tryUntil };
  }
  const first = slots.map(slotFreeAt).reduce((a, b) => earlier(a, b));
  return { slot: slots.findIndex((slot) => slotFreeAt(slot) === first), chooseAgainAt: first };
}

/**
 * When each slot will have been free for `longestFree`, unless it is claimed or renewed before. Pure.
 *
 * @param emptySince for each slot, since when it is seen without a holder; undefined if it has one.
 */
export function unledAt(
  slots: readonly SlotView[],
  emptySince: readonly (MonotonicMs | undefined)[],
  longestFree: number,
): readonly MonotonicMs[] {
  return slots.map((slot, index) =>
    slot.held ? NEVER : after(emptySince[index] ?? slotFreeAt(slot), longestFree),
  );
}

/** Since when each slot is seen without a holder; undefined if it has one. @param before the last result. Pure. */
export function emptySince(
  slots: readonly SlotView[],
  before: readonly (MonotonicMs | undefined)[],
  now: MonotonicMs,
): readonly (MonotonicMs | undefined)[] {
  return slots.map((slot, index) =>
    !slot.held && slotFreeAt(slot) === LONG_AGO ? (before[index] ?? now) : undefined,
  );
}

/** The earliest instant at which the slot may be free. A slot that has not been seen may be free now. */
function slotFreeAt({ leader, freeAt }: SlotView): MonotonicMs {
  if (freeAt !== undefined) return freeAt;
  return leader === '' ? LONG_AGO : NEVER;
}
