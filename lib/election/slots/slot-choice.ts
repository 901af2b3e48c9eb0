/** Which of several slots to stand for. Pure. */
import { LONG_AGO, NEVER, after, earlier, later, type MonotonicMs } from '../clock.js';

/** A slot as this process sees it. */
export interface SlotView {
  /** This process leads it, or is handing it over. */
  readonly held: boolean;
  /** Who holds it, `''` for nobody. */
  readonly leader: string;
  /** Until when whoever held it must be respected. */
  readonly expiresAt: MonotonicMs | undefined;
  /** No campaign before this. */
  readonly campaignAt: MonotonicMs;
}

/** What to stand for, and when to choose again if nothing is heard. */
export interface SlotChoice {
  /** Undefined: for none. */
  readonly slot: number | undefined;
  readonly chooseAgainAt: MonotonicMs;
}

/** What a choice depends on besides the slots. */
export interface SlotCircumstances {
  readonly now: MonotonicMs;
  /** The slot to stay with if it is held, or as good as another. */
  readonly present: number | undefined;
  /** After which time another free slot is tried. */
  readonly retryPeriod: number;
  readonly random: () => number;
}

/**
 * One at a time: two claims under way might both succeed. The one that is led; else one that is free; else the one that
 * runs out first, to be there when it does. No other can have run out by then, since renewals only put that off.
 */
export function chooseSlot(
  slots: readonly SlotView[],
  { now, present, retryPeriod, random }: SlotCircumstances,
): SlotChoice {
  // The one whose term was told, if a late reply has won another.
  const stillHeld = present !== undefined && slots[present]?.held === true;
  const held = stillHeld ? present : slots.findIndex((slot) => slot.held);
  if (held >= 0) return { slot: held, chooseAgainAt: NEVER };
  // Of any slot: work of a term that was lost may still run.
  const campaignAt = slots.map((slot) => slot.campaignAt).reduce((a, b) => later(a, b));
  if (campaignAt > now) return { slot: undefined, chooseAgainAt: campaignAt };
  const free = slots.flatMap((slot, index) => (freeAt(slot) <= now ? [index] : []));
  if (free.length > 0) {
    const stays = present !== undefined && free.includes(present);
    const slot = stays ? present : free[Math.floor(random() * free.length)];
    return { slot, chooseAgainAt: after(now, retryPeriod) };
  }
  const first = slots.map(freeAt).reduce((a, b) => earlier(a, b));
  return { slot: slots.findIndex((slot) => freeAt(slot) === first), chooseAgainAt: first };
}

/** As far as is known: a slot that was not seen yet may be free. */
function freeAt({ leader, expiresAt }: SlotView): MonotonicMs {
  if (expiresAt !== undefined) return expiresAt;
  return leader === '' ? LONG_AGO : NEVER;
}
