/**
 * What can happen next to a small fleet, and what it leads to. The server carries out a request as soon as it is sent, and its
 * reply and the events of watches arrive in any order before the next tick; anything else is a fault.
 *
 * Leaving out that requests wait within a tick loses nothing but what a fault can do as well: a request that is carried out
 * before its sender's next step could also have been sent that much later, because nobody sees a request before it is carried
 * out. One that is carried out after its sender's next step is held.
 */
import {
  LONG_AGO,
  LeaseRequestError,
  NEVER,
  after,
  isOpen,
  isValid,
  renewableTerm,
  step,
  type ElectionEffect,
  type LeaseSnapshot,
  type MachineEvent,
  type Reply,
  type TimedEvent,
  type Election,
  type WatchEvent,
  type WriteOutcome,
} from '../../election/internal.js';
import type { Guarantee } from '../simulation/index.js';
import {
  clocksOf,
  names,
  type Flight,
  type Process,
  type Scope,
  type Sent,
  type Stream,
  type World,
} from './world.js';

// What can happen

/** Something that happens. `process` is a number, `request` that of the request. */
export type Move =
  | { readonly do: 'tick' }
  | { readonly do: 'delete' }
  | { readonly do: ProcessMove | ProcessFault; readonly process: number }
  | { readonly do: 'reply' | 'giveUp' | 'arrive'; readonly process: number; readonly request: number };

/** `wake`: its timer rings. `event`: its watch shows the next event. `resume`: its silent watch goes on. */
type ProcessMove = 'start' | 'wake' | 'event' | 'thaw' | 'resume' | 'endWork';

type ProcessFault = 'freeze' | 'kill' | 'silence' | 'endWatch' | 'stop' | 'stepDown' | 'beginWork';

/** What goes wrong with a request that a move causes. */
export type Fate =
  /** It is carried out later, or never. */
  | 'requestHeld'
  /** Its reply comes later, or never. */
  | 'replyHeld'
  /** The connection breaks, and its sender cannot tell whether it was carried out: it was not. */
  | 'requestBroken'
  /** The same, but it was. For a read that makes no difference. */
  | 'replyBroken'
  /** With prompt replies: its sender is frozen before the reply comes. Otherwise that is a move of its own. */
  | 'frozen';

const FATES: Readonly<Record<Scope['replies'], Readonly<Record<Sent['do'], readonly Fate[]>>>> = {
  prompt: {
    read: ['requestHeld', 'replyHeld', 'requestBroken', 'frozen'],
    write: ['requestHeld', 'replyHeld', 'requestBroken', 'replyBroken', 'frozen'],
  },
  anyOrder: {
    read: ['requestHeld', 'replyHeld', 'requestBroken'],
    write: ['requestHeld', 'replyHeld', 'requestBroken', 'replyBroken'],
  },
};

/** A move, and what goes wrong in it: with which of the requests that it causes, counted from 1. */
export interface Made {
  readonly move: Move;
  readonly mishap?: { readonly fate: Fate; readonly request: number };
}

/** A move, and the world after it. */
export interface Step extends Made {
  readonly world: World;
}

/** Called with each step of an election, and with each change of the Lease. */
export interface Onlooker {
  stepped(process: number, event: TimedEvent, effects: readonly ElectionEffect[], state: Election): void;
  changed(lease: LeaseSnapshot | undefined): void;
}

/** Everything that can happen next. The same world gives the same steps, in the same order. */
export function stepsFrom(world: World, scope: Scope): Step[] {
  const steps: Step[] = [];
  const mayFail = world.faults < scope.faults;
  for (const move of movesOf(world, scope)) {
    const { after, sent } = made(world, scope, { move });
    steps.push({ move, world: after });
    if (!mayFail) continue;
    for (const [index, kind] of sent.entries())
      for (const fate of FATES[scope.replies][kind]) {
        const failing = { move, mishap: { fate, request: index + 1 } };
        steps.push({ ...failing, world: failed(made(world, scope, failing).after) });
      }
  }
  if (mayFail)
    for (const move of faultsOf(world, scope))
      steps.push({ move, world: failed(made(world, scope, { move }).after) });
  return steps;
}

/** Makes one move. */
export function makeMove(world: World, scope: Scope, making: Made, onlooker?: Onlooker): World {
  return made(world, scope, making, onlooker).after;
}

/** The next move of a run in which nothing fails, and what was held up goes on. */
export function fairMove(world: World, scope: Scope): Move {
  return movesOf(world, scope)[0] ?? { do: 'tick' };
}

function failed(world: World): World {
  return { ...world, faults: world.faults + 1 };
}

/** What can happen without a fault. Time passes when nothing else is due. */
function movesOf(world: World, scope: Scope): Move[] {
  const moves: Move[] = [];
  let isDue = false;
  for (const [number, process] of world.processes.entries()) {
    const of = movesOfProcess(world, scope, number, process);
    moves.push(...of.moves);
    isDue ||= of.isDue;
  }
  if (!isDue) moves.push({ do: 'tick' });
  return moves;
}

function movesOfProcess(
  world: World,
  scope: Scope,
  number: number,
  { liveness, election, requests, stream, running }: Process,
): { moves: Move[]; isDue: boolean } {
  const due: Move[] = [];
  const other: Move[] = [];
  if (liveness === 'frozen') other.push({ do: 'thaw', process: number });
  if (liveness === 'running') {
    const { now } = clocksOf(world, scope, number);
    if (election.life.phase.kind === 'idle') due.push({ do: 'start', process: number });
    else if (election.wakeAt <= now) due.push({ do: 'wake', process: number });
    for (const { request, reply, isHeld, givesUpAt } of requests) {
      if (reply !== undefined)
        (isHeld ? other : due).push({ do: 'reply', process: number, request: request.number });
      if (givesUpAt !== LONG_AGO && givesUpAt <= now)
        due.push({ do: 'giveUp', process: number, request: request.number });
    }
    if (stream !== undefined && stream.queue.length > 0 && !stream.isHeld)
      due.push({ do: 'event', process: number });
    if (running > 0) other.push({ do: 'endWork', process: number });
  }
  if (stream?.isHeld === true) other.push({ do: 'resume', process: number });
  for (const { request, reply } of requests)
    if (reply === undefined) other.push({ do: 'arrive', process: number, request: request.number });
  return { moves: [...other, ...due], isDue: due.length > 0 };
}

/**
 * What can fail now.
 *
 * A process is frozen or killed, its watch falls silent and work begins in it only right after a step of it: until its next
 * step nobody else can tell, so a later moment would lead to the same states.
 */
function faultsOf(world: World, scope: Scope): Move[] {
  const faults: Move[] = mayDelete(world) ? [{ do: 'delete' }] : [];
  for (const [process, { liveness, election, stream, running }] of world.processes.entries()) {
    const { phase } = election.life;
    if (liveness !== 'running' || phase.kind === 'idle' || phase.kind === 'stopped') continue;
    if (world.last === process) {
      faults.push({ do: 'kill', process });
      faults.push({ do: 'freeze', process });
      if (stream !== undefined && !stream.isHeld) faults.push({ do: 'silence', process });
      const { now, date } = clocksOf(world, scope, process);
      const isOpenTerm = phase.kind === 'leading' && isOpen(election.life, phase.term.number, now, date);
      if (isOpenTerm && running === 0) faults.push({ do: 'beginWork', process });
    }
    if (stream !== undefined) faults.push({ do: 'endWatch', process });
    if (!election.life.isLeaving) faults.push({ do: 'stop', process });
    if (phase.kind === 'leading') faults.push({ do: 'stepDown', process });
  }
  return faults;
}

/**
 * Whether the Lease may be deleted. Left out is what docs/guarantees.md does not promise: a process has not seen the Lease that
 * is deleted, or the creation of another is still under way.
 */
function mayDelete({ lease, processes }: World): boolean {
  if (lease === undefined) return false;
  return processes.every(({ liveness, election, requests }) => {
    const { observation } = election.sight;
    const hasSeen = observation.kind === 'present' && observation.snapshot.uid === lease.uid;
    const creates = requests.some(({ request, reply }) => reply === undefined && isCreation(request));
    return !creates && (liveness === 'dead' || hasSeen || election.life.phase.kind === 'stopped');
  });
}

function isCreation(request: Sent): boolean {
  return request.do === 'write' && request.base === undefined;
}

// What it leads to

function made(
  world: World,
  scope: Scope,
  { move, mishap }: Made,
  onlooker?: Onlooker,
): { after: World; sent: readonly Sent['do'][] } {
  const making = new Making(world, scope, mishap, onlooker);
  making.make(move);
  making.answerPromptly();
  making.check();
  return { after: making.world, sent: making.sent };
}

/** Versions on a server that others use, too, have gaps. */
const GAP = 10;
/** The server ends a watch that leaves so many events unread. */
const LONGEST_QUEUE = 2;

const BROKEN = new LeaseRequestError('LEADER_UNREACHABLE', 'The connection broke.', { maybeCommitted: true });
const TOO_LATE = new LeaseRequestError('LEADER_REQUEST_TIMEOUT', 'No answer in time.', {
  maybeCommitted: true,
});

/** A move in progress. */
class Making {
  world: World;
  /** The requests that were sent in this move. */
  readonly sent: Sent['do'][] = [];
  /** Replies that come at the end of this move. */
  readonly #prompt: {
    readonly process: number;
    readonly request: number;
    readonly fate: Fate | undefined;
  }[] = [];

  constructor(
    before: World,
    private readonly scope: Scope,
    private readonly mishap: Made['mishap'],
    private readonly onlooker: Onlooker | undefined,
  ) {
    this.world = before;
  }

  make(move: Move): void {
    switch (move.do) {
      case 'tick':
        this.#rest();
        this.#change({ tick: this.world.tick + 1 });
        return;
      case 'delete':
        this.#store(undefined);
        return;
      case 'start':
        this.#feed(move.process, { type: 'start', objection: undefined, abstains: false });
        return;
      case 'wake':
        this.#feed(move.process, { type: 'timePassed' });
        return;
      case 'reply':
        this.#deliver(move.process, move.request);
        return;
      case 'giveUp':
        this.#giveUp(move.process, move.request);
        return;
      case 'arrive':
        this.#arrive(move.process, move.request);
        return;
      case 'event':
        this.#showEvent(move.process);
        return;
      case 'freeze':
        this.#changeProcess(move.process, { liveness: 'frozen' });
        return;
      case 'thaw':
        this.#changeProcess(move.process, { liveness: 'running' });
        return;
      case 'kill':
        this.#changeProcess(move.process, { liveness: 'dead', stream: undefined });
        this.#forgetRequests(move.process);
        return;
      case 'silence':
      case 'resume':
        this.#hold(move.process, move.do === 'silence');
        return;
      case 'endWatch':
        this.#endWatch(move.process);
        return;
      case 'beginWork':
        this.#changeProcess(move.process, { running: 1 });
        return;
      case 'endWork':
        this.#changeProcess(move.process, { running: 0 });
        if (this.#process(move.process).election.life.awaitsIdle)
          this.#feed(move.process, { type: 'workIdle' });
        return;
      case 'stop':
        this.#feed(move.process, { type: 'stop' });
        return;
      case 'stepDown':
        this.#feed(move.process, { type: 'stepDown', cooldown: this.scope.timing.retryPeriod });
        return;
    }
  }

  /** What the move has asked is answered, unless the process is frozen before. */
  answerPromptly(): void {
    for (let next = this.#prompt.shift(); next !== undefined; next = this.#prompt.shift()) {
      const { process, request, fate } = next;
      const isAwaited = this.#process(process).requests.some(
        (flight) => flight.request.number === request && flight.givesUpAt !== LONG_AGO,
      );
      if (fate === 'frozen') this.#changeProcess(process, { liveness: 'frozen' });
      else if (isAwaited) this.#deliver(process, request);
    }
  }

  #process(number: number): Process {
    return this.world.processes[number] as Process;
  }

  #change(part: Partial<World>): void {
    this.world = { ...this.world, ...part };
  }

  #changeProcess(number: number, part: Partial<Process>): void {
    this.#change({
      processes: this.world.processes.map((process, index) =>
        index === number ? { ...process, ...part } : process,
      ),
    });
  }

  #break(guarantee: Guarantee, what: string): void {
    if (this.world.broken === undefined) this.#change({ broken: { guarantee, what } });
  }

  // The election, as driver.ts drives it

  #feed(number: number, happening: MachineEvent): void {
    const { election, running } = this.#process(number);
    const at = { ...clocksOf(this.world, this.scope, number), chance: 0, running, stands: true };
    const event = { ...happening, at };
    const { state, effects } = step(election, event);
    this.#changeProcess(number, { election: state });
    this.#change({ last: number });
    this.onlooker?.stepped(number, event, effects, state);
    for (const effect of effects) this.#perform(number, effect);
    if (this.#process(number).election.life.phase.kind === 'stopped') this.#forgetRequests(number);
  }

  #perform(number: number, effect: ElectionEffect): void {
    switch (effect.do) {
      case 'tell':
        if (effect.event.type === 'startedLeading') this.#announce(number, effect.event.term, true);
        if (effect.event.type === 'stoppedLeading') this.#announce(number, effect.event.term, false);
        return;
      case 'measure':
      case 'guard':
      case 'followHolder':
        return;
      case 'beginTerm':
        this.#beginTerm(number, effect.term.number, Number(effect.term.fencingToken));
        return;
      case 'closeTerm':
        this.#feed(number, { type: 'termClosed', term: effect.term });
        return;
      case 'endTerm':
        this.#endTerm(number, effect.term);
        return;
      case 'awaitIdle':
        if (this.#process(number).running === 0) this.#feed(number, { type: 'workIdle' });
        return;
      case 'read':
      case 'write':
        if (this.#process(number).election.life.phase.kind !== 'stopped') this.#send(number, effect);
        return;
      case 'openWatch':
        if (this.#process(number).election.life.phase.kind !== 'stopped')
          this.#openWatch(number, effect.stream);
        return;
      case 'closeWatch':
        if (this.#process(number).stream?.number === effect.stream)
          this.#changeProcess(number, { stream: undefined });
        return;
    }
  }

  // Requests

  #send(number: number, request: Sent): void {
    this.sent.push(request.do);
    if (request.do === 'write') {
      const { running } = this.#process(number);
      if (request.record.holderIdentity === '' && running > 0)
        this.#break('G5', `${nameOf(number)} releases the lease while its work runs`);
    }
    const fate = this.sent.length === this.mishap?.request ? this.mishap.fate : undefined;
    const givesUpAt = after(clocksOf(this.world, this.scope, number).now, request.patienceMs);
    const isHeld = fate === 'requestHeld' || fate === 'replyHeld';
    const reply =
      fate === 'requestHeld' ? undefined : fate === 'requestBroken' ? broken() : this.#carryOut(request);
    const flight: Flight = { request, givesUpAt, reply: fate === 'replyBroken' ? broken() : reply, isHeld };
    this.#changeProcess(number, { requests: [...this.#process(number).requests, flight] });
    if (this.scope.replies === 'prompt' && flight.reply !== undefined && !isHeld)
      this.#prompt.push({ process: number, request: request.number, fate });
  }

  /** The server carries out a request. */
  #carryOut(request: Sent): Reply<WriteOutcome> | Reply<LeaseSnapshot | undefined> {
    const { lease, created } = this.world;
    if (request.do === 'read') return { ok: true, value: lease };
    const { base, record } = request;
    if (base === undefined ? lease !== undefined : isConflict(lease, base))
      return { ok: true, value: { kind: 'conflict' } };
    if (base === undefined) this.#change({ created: created + 1 });
    const resourceVersion = String(this.world.version + GAP);
    const snapshot = { record, resourceVersion, uid: base?.uid ?? `uid-${String(created + 1)}` };
    this.#store(snapshot);
    return { ok: true, value: { kind: 'written', snapshot } };
  }

  #store(lease: LeaseSnapshot | undefined): void {
    const version = this.world.version + GAP;
    this.#change({ lease, version });
    this.onlooker?.changed(lease);
    const event: WatchEvent =
      lease === undefined
        ? { kind: 'deleted', resourceVersion: String(version) }
        : { kind: 'seen', snapshot: lease };
    for (const [number, { stream }] of this.world.processes.entries())
      if (stream !== undefined) this.#changeProcess(number, { stream: withEvent(stream, event) });
    for (const number of this.world.processes.keys()) this.#dropIdle(number);
  }

  /** Drops requests that can have no effect any more: given up, and reads or certain to be refused. */
  #dropIdle(number: number): void {
    const { requests } = this.#process(number);
    const left = requests.filter((flight) => flight.givesUpAt !== LONG_AGO || this.#mayMatter(flight));
    if (left.length < requests.length) this.#changeProcess(number, { requests: left });
  }

  #mayMatter({ request, reply }: Flight): boolean {
    if (reply !== undefined || request.do === 'read') return false;
    const { lease } = this.world;
    return request.base === undefined ? lease === undefined : !isConflict(lease, request.base);
  }

  /** The process waits for no reply any more. */
  #forgetRequests(number: number): void {
    const requests = this.#process(number).requests.map((flight) => ({ ...flight, givesUpAt: LONG_AGO }));
    this.#changeProcess(number, { requests });
    this.#dropIdle(number);
  }

  #flight(number: number, request: number): Flight {
    return this.#process(number).requests.find((flight) => flight.request.number === request) as Flight;
  }

  #replace(number: number, flight: Flight, by?: Flight): void {
    const { requests } = this.#process(number);
    this.#changeProcess(number, {
      requests: requests.flatMap((other) => (other === flight ? (by ?? []) : other)),
    });
  }

  #deliver(number: number, request: number): void {
    const flight = this.#flight(number, request);
    this.#replace(number, flight);
    this.#answer(number, flight, flight.reply as NonNullable<Flight['reply']>);
  }

  #answer(number: number, { request }: Flight, reply: NonNullable<Flight['reply']>): void {
    this.#feed(
      number,
      request.do === 'read'
        ? { type: 'readReplied', number: request.number, reply: reply as Reply<LeaseSnapshot | undefined> }
        : { type: 'writeReplied', number: request.number, reply: reply as Reply<WriteOutcome> },
    );
  }

  #giveUp(number: number, request: number): void {
    const flight = this.#flight(number, request);
    this.#replace(number, flight, { ...flight, givesUpAt: LONG_AGO });
    this.#dropIdle(number);
    this.#answer(number, flight, { ok: false, error: TOO_LATE });
  }

  /** A request that was held is carried out after all. */
  #arrive(number: number, request: number): void {
    const flight = this.#flight(number, request);
    this.#replace(number, flight);
    const reply = this.#carryOut(flight.request);
    if (flight.givesUpAt === LONG_AGO) return;
    const { requests } = this.#process(number);
    this.#changeProcess(number, { requests: [...requests, { ...flight, reply, isHeld: false }] });
  }

  // Watches

  #openWatch(number: number, stream: number): void {
    const { lease } = this.world;
    const present: WatchEvent[] = lease === undefined ? [] : [{ kind: 'seen', snapshot: lease }];
    this.#changeProcess(number, {
      stream: { number: stream, queue: [{ kind: 'opened' }, ...present], isHeld: false },
    });
  }

  #showEvent(number: number): void {
    const { number: stream, queue, isHeld } = this.#process(number).stream as Stream;
    const [event, ...rest] = queue;
    if (event === undefined) return;
    if (event.kind === 'ended') {
      this.#endWatch(number);
      return;
    }
    this.#changeProcess(number, { stream: { number: stream, queue: rest, isHeld } });
    this.#feed(
      number,
      event.kind === 'opened' ? { type: 'watchOpened', stream } : { type: 'watchShowed', stream, event },
    );
  }

  #hold(number: number, isHeld: boolean): void {
    const { stream } = this.#process(number);
    if (stream !== undefined) this.#changeProcess(number, { stream: { ...stream, isHeld } });
  }

  #endWatch(number: number): void {
    const { number: stream } = this.#process(number).stream as Stream;
    this.#changeProcess(number, { stream: undefined });
    this.#feed(number, { type: 'watchEnded', stream, problem: undefined });
  }

  // The guarantees, as they look from outside

  #beginTerm(number: number, term: number, token: number): void {
    const process = this.#process(number);
    const name = nameOf(number);
    if (process.term !== undefined) this.#break('G4', `${name} begins a term within a term`);
    if (token <= this.world.lastToken)
      this.#break(
        'G3',
        `${name} begins a term with the token ${String(token)} after ${String(this.world.lastToken)}`,
      );
    if (process.running > 0 && clocksOf(this.world, this.scope, number).now < process.drainsUntil)
      this.#break('G5', `${name} begins a term while work of its last one runs`);
    this.#change({ lastToken: Math.max(token, this.world.lastToken) });
    this.#changeProcess(number, { term });
  }

  #endTerm(number: number, term: number): void {
    const { term: open, running } = this.#process(number);
    if (open !== term) this.#break('G4', `${nameOf(number)} ends a term that it does not have`);
    const { now } = clocksOf(this.world, this.scope, number);
    const drainsUntil = running > 0 ? after(now, this.scope.timing.drainTimeout) : LONG_AGO;
    this.#changeProcess(number, { term: undefined, drainsUntil });
  }

  #announce(number: number, term: number, hasStarted: boolean): void {
    const { announced, term: open } = this.#process(number);
    const isInOrder = hasStarted
      ? announced === undefined && open === term
      : announced === term && open !== term;
    if (!isInOrder) this.#break('G4', `${nameOf(number)} tells of its terms in the wrong order`);
    this.#changeProcess(number, { announced: hasStarted ? term : undefined });
  }

  /** Two processes that run never hold the lease at one instant, even while one of them hands over. */
  check(): void {
    const holders = [...this.world.processes.keys()].filter((number) => this.#holds(number));
    if (holders.length > 1) this.#break('G1', `${holders.map(nameOf).join(' and ')} hold the lease at once`);
  }

  /** Whether code of the process would be told that it leads, or its term is certain while it is handed over. */
  #holds(number: number): boolean {
    const { liveness, election } = this.#process(number);
    const term = renewableTerm(election.life);
    if (liveness !== 'running' || term === undefined) return false;
    const { now, date } = clocksOf(this.world, this.scope, number);
    return isOpen(election.life, term.number, now, date) || isValid(term.validity, now, date);
  }

  /** Nothing is due. Each process has noticed what it should have, and will go on by itself. */
  #rest(): void {
    for (const [number, { liveness, election, requests, stream, term }] of this.world.processes.entries()) {
      if (liveness !== 'running' || election.life.phase.kind === 'stopped') continue;
      const { now, date } = clocksOf(this.world, this.scope, number);
      const validity = term === undefined ? undefined : renewableTerm(election.life)?.validity;
      if (validity !== undefined && !isValid(validity, now, date))
        this.#break('G4', `${nameOf(number)}'s term has outlived its validity`);
      const isAwaiting = requests.some(({ givesUpAt }) => givesUpAt !== LONG_AGO);
      if (election.wakeAt === NEVER && !isAwaiting && stream === undefined && !election.life.awaitsIdle)
        this.#break('G7', `${nameOf(number)} waits for nothing`);
    }
  }
}

function nameOf(process: number): string {
  return names[process] ?? String(process);
}

function isConflict(lease: LeaseSnapshot | undefined, base: LeaseSnapshot): boolean {
  return lease?.uid !== base.uid || lease.resourceVersion !== base.resourceVersion;
}

function broken(): { ok: false; error: LeaseRequestError } {
  return { ok: false, error: BROKEN };
}

/** A stream that leaves too many events unread is ended, and shows the rest no more. */
function withEvent(stream: Stream, event: WatchEvent): Stream {
  const { queue } = stream;
  if (queue.at(-1)?.kind === 'ended') return stream;
  return { ...stream, queue: [...queue, queue.length < LONGEST_QUEUE ? event : { kind: 'ended' }] };
}
