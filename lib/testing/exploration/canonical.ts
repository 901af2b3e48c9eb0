/**
 * The canonical form of a world: two worlds with one form behave alike from there on. Two worlds have one form if they differ only in
 *
 * - names: which process is which, resourceVersions (their order counts), uids, times in records, numbers of requests, streams and terms;
 * - when it is: only the time since and until an instant counts, by the clock of the process;
 * - what is over: a deadline that has passed, however long ago, and the order of instants that no duration reaches back to;
 * - what only reports depend on, and what processes that have stopped know.
 *
 * The table says which part of a state is what. A part that the table does not name is refused, so that none is forgotten.
 */
import {
  LONG_AGO,
  NEVER,
  type Election,
  type LeaseSnapshot,
  type MonotonicMs,
  type WatchEvent,
} from '../../election/internal.js';
import { clocksOf, type Flight, type Process, type Scope, type World } from './world.js';

/**
 * `future`: a deadline; once it has passed it does not matter when. `past`: an instant that others are compared with. `name`: it
 * counts only whether it equals others. `flag`: it counts only whether it is 0.
 */
type Rule = 'keep' | 'drop' | 'walk' | 'future' | 'past' | 'version' | 'name' | 'identity' | 'flag';

const RULES: Readonly<Record<string, Rule>> = {
  // Life. A term has the number of the terms so far. Both clocks of a process run at one rate, so one of them tells all.
  phase: 'walk', rules: 'drop', kind: 'keep', number: 'drop', takeover: 'drop', reason: 'keep', cooldown: 'keep', announced: 'keep',
  awaiting: 'keep', fencingToken: 'version', slot: 'drop', startedAt: 'drop', beganAt: 'drop', sentOn: 'drop', until: 'future',
  untilDate: 'drop', renewAfter: 'keep', terms: 'drop', cooldownUntil: 'future', drainUntil: 'future', drains: 'future',
  awaitsIdle: 'keep', isLeaving: 'keep', life: 'walk',
  // Sight. Each record has a time of its own, so its transitions tell nothing more.
  sight: 'walk', observation: 'walk', doubtful: 'keep', gapSince: 'past', hint: 'walk', version: 'version', at: 'past', owedMs: 'keep',
  ledger: 'walk', undecided: 'walk', written: 'walk', stored: 'walk', record: 'walk', holderIdentity: 'identity',
  leaseDurationSeconds: 'keep', acquireTime: 'name', renewTime: 'name', leaseTransitions: 'drop', on: 'version', snapshot: 'walk',
  resourceVersion: 'version', uid: 'name', mine: 'keep', seenAt: 'past', heldUntil: 'future', owedBefore: 'future', mayBeReleased: 'keep',
  touch: 'keep', lastTouch: 'walk', shown: 'walk', lease: 'walk', sentAt: 'past',
  // Pacing. The server never asks to wait, so it does not matter when it would have.
  pacing: 'walk', read: 'walk', write: 'walk', unanswered: 'keep', notBefore: 'future', restedAt: 'future', askedAt: 'drop',
  answeredAt: 'drop', pollAt: 'future', conflicts: 'flag',
  // The watch. What is counted of useless streams is reported.
  watch: 'walk', retryPeriod: 'drop', state: 'keep', stream: 'drop', isStreaming: 'keep', giveUpAt: 'future', openAt: 'future',
  hasShown: 'keep', newsVersion: 'version', shownVersion: 'version', awaited: 'walk', since: 'past', dueAt: 'future', isNews: 'keep',
  endsInARow: 'flag', uselessInARow: 'drop', uselessForMs: 'drop', uselessSince: 'drop', lateness: 'keep', reported: 'drop',
  // Requests and the release.
  requests: 'walk', inDoubt: 'keep', isOverdue: 'keep', attempt: 'walk', release: 'walk', writes: 'flag', mustRead: 'keep', problem: 'drop',
  // The rest of an election. A next record always has a new time.
  config: 'drop', sent: 'drop', objection: 'drop', abstains: 'keep', lastTime: 'drop', unkeptVersion: 'drop', seenLeader: 'drop',
  announcedLeader: 'drop', followed: 'keep', gone: 'keep', holderProblem: 'drop', hasNamesake: 'drop', wakeAt: 'future',
}; // prettier-ignore

/** A part of a form that depends on the rest of the world. */
interface Part {
  readonly rule: 'future' | 'past' | 'version' | 'name' | 'sent' | 'opened' | 'interval';
  readonly value: number | string;
  /** Of a `past` instant: how many milliseconds a duration reaches back to it. Default: leaseDuration. */
  readonly reach?: number | undefined;
}

/** A world's form, as text. */
export function canonical(world: World, scope: Scope): string {
  const processes = world.processes.map(drawingsOf);
  const lease = [
    drawn(undefined, (drawing) => {
      drawing.walk('snapshot', world.lease);
    }),
  ];
  const ranks = ranksOf(world, [...processes.flat(), ...lease]);
  const forms = processes.map((parts, number) =>
    fill(parts, ranks, scope, clocksOf(world, scope, number).now),
  );
  const order = forms.map((_, number) => number);
  // Processes whose clocks run at one rate are alike.
  const rate = (number: number): number => scope.tickMs[number] as number;
  order.sort((a, b) => rate(a) - rate(b) || compare((forms[a] as Form).text, (forms[b] as Form).text));
  const whole = [...order.map((number) => forms[number] as Form), fill(lease, ranks, scope, LONG_AGO)];
  const names = new Map<string, number>();
  let text = String(ranks.get(world.lastToken));
  for (const form of whole) {
    text += `\n${form.text} `;
    for (const name of form.names) {
      const known = names.get(name) ?? names.size;
      names.set(name, known);
      text += `${String(known)} `;
    }
  }
  return text;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The versions of the world by their order. */
function ranksOf({ lastToken }: World, drawn: readonly Parts[]): Map<number, number> {
  const versions = new Set<number>([0, lastToken]);
  for (const parts of drawn)
    for (const part of parts)
      if (typeof part === 'object' && part.rule === 'version') versions.add(part.value as number);
  return new Map([...versions].sort((a, b) => a - b).map((version, rank) => [version, rank]));
}

// What is drawn of a process does not depend on the time and on other processes, so it is drawn once

type Parts = readonly (string | Part)[];

const drawings = new WeakMap<Process | Election, Parts>();

function drawingsOf(process: Process): readonly Parts[] {
  const { election } = process;
  const own = known(process, (drawing) => {
    drawing.process(process);
  });
  if (isOver(process)) return [own];
  return [
    own,
    known(election, (drawing) => {
      drawing.election(election);
    }),
  ];
}

function known(what: Process | Election, draw: (drawing: Drawing) => void): Parts {
  const before = drawings.get(what);
  if (before !== undefined) return before;
  const parts = drawn('election' in what ? what.election : what, draw);
  drawings.set(what, parts);
  return parts;
}

function isOver({ liveness, election }: Process): boolean {
  return liveness === 'dead' || election.life.phase.kind === 'stopped';
}

function drawn(election: Election | undefined, draw: (drawing: Drawing) => void): Parts {
  const drawing = new Drawing(election);
  draw(drawing);
  return drawing.parts;
}

class Drawing {
  readonly parts: (string | Part)[] = [];
  readonly #terms: number;
  readonly #identity: string | undefined;
  #inLedger = false;

  constructor(election: Election | undefined) {
    this.#terms = election?.life.terms ?? 0;
    this.#identity = election?.config.options.identity;
  }

  process(process: Process): void {
    const { election, liveness, running, drainsUntil, term, announced, requests, stream } = process;
    this.#part('name', this.#identity);
    this.#text(isOver(process) ? 'over' : liveness);
    for (const flight of requests) {
      const position = election.requests.findIndex(({ number }) => number === flight.request.number);
      this.#flight(flight, isOver(process) ? -1 : position);
    }
    if (isOver(process)) return;
    this.#text(`${String(running)} ${this.#numbered(term)} ${this.#numbered(announced)}`);
    this.#part('future', drainsUntil);
    if (stream === undefined) return;
    this.#text(stream.isHeld ? 'held' : 'open');
    for (const event of stream.queue) this.#event(event);
  }

  election(election: Election): void {
    for (const [key, value] of Object.entries(election)) {
      if (key === 'rhythm') this.#rhythm(election);
      else if (key === 'problems') this.#problems(election);
      else this.walk(key, value);
    }
  }

  /** The rhythm of a holder is measured only while another process holds the lease; the next holder's begins anew. */
  #rhythm({ rhythm, sight: { observation } }: Election): void {
    if (observation.kind !== 'present' || observation.mine) return;
    const { record, seenAt, renewedAt, intervals, looks, guess } = rhythm;
    this.walk('record', record);
    this.#text(String(looks));
    // Each look doubles the time to the next. Two looks ahead it is over.
    this.#part('past', seenAt, Math.max(guess, ...intervals) * 2.1 * 2 ** (looks + 2));
    this.#part('past', renewedAt);
    // The longest of the last few counts, so one before a longer one never does.
    for (const index of intervals.keys()) this.#part('interval', Math.max(...intervals.slice(index)));
  }

  /** A problem that ends by itself wakes the process. */
  #problems({ problems }: Election): void {
    for (const problem of Object.values(problems))
      if (problem.error !== undefined && problem.until !== NEVER) this.#part('future', problem.until);
  }

  #flight({ request, givesUpAt, reply, isHeld }: Flight, position: number): void {
    this.#text(
      `${request.do} ${String(position)} ${isHeld ? 'held' : ''} ${givesUpAt === LONG_AGO ? 'given up' : ''}`,
    );
    this.#part('future', givesUpAt);
    if (request.do === 'write' && reply === undefined) {
      this.#part('version', versionOf(request.base));
      this.walk('record', request.record);
    }
    if (reply === undefined) return;
    if (!reply.ok) this.#text(reply.error.code);
    else if (reply.value === undefined) this.#text('none');
    else if ('kind' in reply.value) {
      this.#text(reply.value.kind);
      if (reply.value.kind === 'written') this.walk('snapshot', reply.value.snapshot);
    } else this.walk('snapshot', reply.value);
  }

  #event(event: WatchEvent | { kind: 'ended' }): void {
    this.#text(event.kind);
    if (event.kind === 'seen') this.walk('snapshot', event.snapshot);
    if (event.kind === 'deleted') this.#part('version', Number(event.resourceVersion));
  }

  walk(key: string, value: unknown): void {
    // What a write is conditional on.
    if (key === 'base') return this.#part('version', versionOf(value as LeaseSnapshot | undefined));
    if (key === 'term' && typeof value !== 'object')
      return this.#text(this.#numbered(value as number | undefined));
    const rule = key === 'term' || key === 'validity' ? 'walk' : RULES[key];
    if (rule === undefined)
      throw new Error(`The table of canonical.ts does not say what '${key}' of a state is.`);
    switch (rule) {
      case 'drop':
        return;
      case 'keep':
        return this.#text(String(value));
      case 'flag':
        return this.#text((value as number) > 0 ? '+' : '0');
      case 'walk':
        return this.#walkInto(key, value);
      case 'future':
        if (Array.isArray(value)) for (const each of value) this.#part('future', each as number);
        // Nothing is owed: the same as what is owed no longer.
        else this.#part('future', (key === 'owedBefore' ? (value ?? LONG_AGO) : value) as number | undefined);
        return;
      case 'past':
        return this.#part(key === 'sentAt' && this.#inLedger ? 'sent' : 'past', value as number | undefined);
      case 'version':
        return this.#part('version', value === undefined ? undefined : Number(value));
      case 'identity':
        this.#text(value === '' ? 'nobody' : value === this.#identity ? 'me' : 'other');
        return value === '' ? undefined : this.#part('name', value as string);
      case 'name':
        return this.#part('name', value as string | undefined);
    }
  }

  #walkInto(key: string, value: unknown): void {
    // A validity that there is not is like one that is over.
    if (key === 'validity' && value === undefined) return this.#part('future', LONG_AGO);
    if (typeof value !== 'object' || value === null) return this.#text(String(value));
    if (Array.isArray(value)) {
      this.#text('[');
      for (const each of value) this.#walkInto(key, each);
      return this.#text(']');
    }
    const wasInLedger = this.#inLedger;
    this.#inLedger ||= key === 'ledger';
    const { unanswered, newest, openedAt: _, ...rest } = value as Record<string, unknown>;
    // The newest of the requests that are unanswered.
    if (typeof unanswered === 'number') {
      this.#text(String(unanswered));
      this.#part('past', unanswered === 0 ? LONG_AGO : (newest as number));
    }
    if ('openedAt' in value) this.#openedAt(value as Election['watch']);
    for (const [inner, each] of Object.entries(rest)) this.walk(inner, each);
    this.#inLedger = wasInLedger;
  }

  /** A watch that was late counts back further. */
  #openedAt({ openedAt, lateness, retryPeriod }: Election['watch']): void {
    if (lateness === 0) this.#part('opened', openedAt);
    else this.#part('past', openedAt, LONGEST_COUNT * retryPeriod);
  }

  #numbered(term: number | undefined): string {
    return term === undefined ? '-' : String(this.#terms - term);
  }

  #text(text: string): void {
    const last = this.parts.at(-1);
    if (typeof last === 'string') this.parts[this.parts.length - 1] = `${last} ${text}`;
    else this.parts.push(text);
  }

  #part(rule: Part['rule'], value: number | string | undefined, reach?: number): void {
    if (value === undefined) this.#text('-');
    else this.parts.push({ rule, value, reach });
  }
}

function versionOf(base: LeaseSnapshot | undefined): number | undefined {
  return base === undefined ? undefined : Number(base.resourceVersion);
}

// Forms

interface Form {
  readonly text: string;
  /** Names that only count as equal to others or not, in order. */
  readonly names: readonly string[];
}

/** How many retry periods the watch counts back at most, when it was late. */
const LONGEST_COUNT = 40;

function fill(
  drawn: readonly Parts[],
  ranks: ReadonlyMap<number, number>,
  scope: Scope,
  now: MonotonicMs,
): Form {
  const { leaseDuration, retryPeriod } = scope.timing;
  const names: string[] = [];
  let old: number[] | undefined;
  let text = '';
  for (const part of drawn.flat()) {
    if (typeof part === 'string') {
      text += `${part},`;
      continue;
    }
    const { rule, value, reach = leaseDuration } = part;
    switch (rule) {
      case 'name':
        names.push(String(value));
        break;
      case 'version':
        text += `v${String(ranks.get(value as number))},`;
        break;
      case 'interval':
        text += `${String(Math.min(value as number, 2 * leaseDuration))},`;
        break;
      case 'future':
        text +=
          value === NEVER ? 'n,' : (value as number) <= now ? 'p,' : `${String((value as number) - now)},`;
        break;
      case 'opened':
        text += now - (value as number) >= retryPeriod ? 'o,' : `${String((value as number) - now)},`;
        break;
      case 'past':
      case 'sent': {
        const ago = now - (value as number);
        if (ago <= reach || ago === Infinity) text += `${String(-ago)},`;
        else if (rule === 'sent') text += 'p,';
        else {
          old ??= oldOf(drawn.flat(), now, leaseDuration);
          text += `o${String(old.indexOf(value as number))},`;
        }
      }
    }
  }
  return { text, names };
}

/** The instants that no duration reaches back to, in order. */
function oldOf(parts: Parts, now: MonotonicMs, reach: number): number[] {
  const old = new Set<number>();
  for (const part of parts)
    if (
      typeof part === 'object' &&
      part.rule === 'past' &&
      now - (part.value as number) > (part.reach ?? reach)
    )
      old.add(part.value as number);
  return [...old].sort((a, b) => a - b);
}
