/**
 * G1 as a formula: two processes never lead at one instant. Read it beside docs/how-it-works.md. A solver proves it for all
 * durations, all delays and all clocks within the bound; without any one of the rules it finds a story in which two lead.
 *
 * **Why two processes suffice.** All writes of a Lease have one order. Let A and B lead at one instant. The records of a term
 * follow one another without a gap, because each renewal is conditional on the record before it (rule 3). So all records of one
 * term come before those of the other: let A's come first, and let W be the last of them that counts. Some claim is the first
 * after W, whoever made it. If W no longer counts at the instant at which that claim is sent, then it does not count when B
 * leads: B's claim is that one, or it was written on top of it or of a later record, and was sent after that. So one holder and
 * one claimant are enough, and how many others there are makes no difference. That argument is about updates. A Lease is created
 * on top of nothing: `lateCreate` below is what remains of that.
 *
 * **What the model is.** An event has its real time, and what each clock of each process shows at it. A clock need not run
 * evenly: the bound of G1 holds between any two events. Messages take any time. The first claim after W comes about in one of
 * five ways; each way is proved by itself. Two of them need no bound: what is proved of a release and of a death holds for
 * clocks at any rates.
 *
 * **What it does not contain**: a Lease that is edited by hand, two processes of one identity, `reclaimOwnLease`,
 * `serverClockMargin`, and whether the code does what the rules say. The simulation is for that.
 */
import { init, killThreads, type Arith, type Bool, type Context, type Solver } from 'z3-solver';
import { certainUntil, claimableFrom, isCertain, type Arithmetic, type Clocks as ClocksOf } from './rules.js';

type Num = Arith<'g1'>;
type Fact = Bool<'g1'>;
type Logic = Context<'g1'>;
type ProcessName = 'A' | 'B';

/** How the first claim after A's record W comes about. */
export const WAYS = {
  expiry: { says: 'B has seen W run out', needsClocks: true },
  release: { says: 'A has released the lease', needsClocks: false },
  deletion: { says: 'the Lease was deleted, and B creates it', needsClocks: true },
  recreation: { says: "B's own Lease was deleted, and B creates it again at once", needsClocks: true },
  death: { says: "A's process was proven dead", needsClocks: false },
} as const;

export type Way = keyof typeof WAYS;

/** What a question may leave out: a rule of ARCHITECTURE.md by its number, or a bound of docs/guarantees.md. */
interface Rule {
  readonly number: string;
  readonly says: string;
  readonly without: string;
  /** The way in which two lead without it. */
  readonly way: Way;
}

export const RULES = {
  stamp: {
    number: '1',
    says: 'A validity counts from the sending of the write',
    without: 'It counts from the reply',
    way: 'expiry',
  },
  firstSight: {
    number: '1',
    says: 'Others wait from their first sight of the record, by their own clock',
    without: 'They compare the time in the record with their wall clock',
    way: 'expiry',
  },
  recordDuration: {
    number: '1',
    says: 'Others wait for the duration in the record',
    without: 'They wait for their own `leaseDuration`',
    way: 'expiry',
  },
  secondWitness: {
    number: '2',
    says: 'A term is valid on both clocks',
    without: 'Only the monotonic clock counts, which stops with a suspended machine',
    way: 'expiry',
  },
  conditional: {
    number: '3',
    says: 'A write is conditional on what was seen last',
    without: 'A claim overwrites a renewal that the claimant has not seen',
    way: 'expiry',
  },
  waitAfterDeletion: {
    number: '3',
    says: 'After a deletion the last holder is owed a whole lease',
    without: 'Whoever finds no Lease creates it at once',
    way: 'deletion',
  },
  ownWithinValidity: {
    number: '3',
    says: 'A process creates its own Lease again at once only within its validity',
    without: 'It does so at any time',
    way: 'recreation',
  },
  releaseSent: {
    number: '3',
    says: 'Who has sent a release does not create its Lease again at once',
    without: 'It does so within its validity, although the release may have let another lead',
    way: 'recreation',
  },
  voidAttempts: {
    number: '5',
    says: 'All attempts are void when a release begins',
    without: 'A late reply begins a second term',
    way: 'release',
  },
  closeFirst: {
    number: '10',
    says: 'A term ends before its release is sent',
    without: 'The term goes on meanwhile',
    way: 'release',
  },
  death: {
    number: '13',
    says: 'Only a dead process is taken for dead',
    without: 'The process that is taken for dead lives',
    way: 'death',
  },
  rates: {
    number: 'bound',
    says: 'No clock runs faster than another by more than leaseDuration ÷ renewDeadline',
    without: 'One runs faster by 1 % more than that',
    way: 'expiry',
  },
  knewLease: {
    number: 'bound',
    says: 'Whoever creates a deleted Lease had seen it',
    without: 'It has just started',
    way: 'deletion',
  },
  lateCreate: {
    number: 'bound',
    says: 'A creation is not still under way when another process has created the Lease and the Lease is deleted',
    without: 'It is carried out after that',
    way: 'deletion',
  },
  longestLease: {
    number: 'bound',
    says: 'The deleted record has no longer duration than the longest that the creator knows',
    without: 'Replicas have different durations',
    way: 'deletion',
  },
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof RULES;

/** One question to the solver. */
export interface Question {
  readonly way: Way;
  /** The rule that is left out. Default: none. */
  readonly without?: RuleName | undefined;
  /** Whether A and B lead at one instant, or each at some instant. Default: at one. */
  readonly apart?: boolean;
}

export interface Verdict {
  /** Whether it can happen. */
  readonly possible: boolean;
  /** If so, one story of it, a line an event. */
  readonly story: readonly string[];
}

/** What the clocks of one process show at an event. */
type Clocks = ClocksOf<Num>;

interface Event extends Readonly<Record<ProcessName, Clocks>> {
  readonly text: string;
  /** Real time, which no process knows. */
  readonly at: Num;
}

interface Process {
  readonly name: ProcessName;
  readonly renewDeadline: Num;
  readonly leaseDuration: Num;
  /** Its machine is suspended at times: its monotonic clock stands still then, and its wall clock goes on. */
  readonly isSuspended: Fact;
}

/**
 * In which numbers a story is looked for, the simplest first. `default`: the default durations, and clocks that all run alike.
 * `plain`: B has other durations. `uneven`: the default durations, but A's clocks do not run as B's. `any`:
 * any; only this proves that there is no story.
 */
const NUMBERS = ['default', 'plain', 'uneven', 'any'] as const;
type Numbers = (typeof NUMBERS)[number];

/** Asks a solver {@link Question}s. */
export class Prover {
  private constructor(
    private readonly logicOf: (name: 'g1') => Logic,
    /** Ends the solver's threads. */
    readonly stop: () => Promise<void>,
  ) {}

  static async start(): Promise<Prover> {
    const { Context, em } = await init();
    return new Prover(Context, async () => {
      await killThreads(em);
    });
  }

  /** @throws Error if the solver cannot tell. */
  async ask(question: Question): Promise<Verdict> {
    for (const numbers of NUMBERS) {
      // Each has a context of its own, so that its answer does not depend on earlier questions.
      const formula = new Formula(this.logicOf('g1'), question, numbers);
      const answer = await formula.solver.check();
      if (answer === 'unknown') throw new Error(`The solver cannot tell: ${formula.solver.reasonUnknown()}`);
      if (answer === 'sat') return { possible: true, story: formula.story() };
    }
    return { possible: false, story: [] };
  }
}

/** A question as a formula. */
class Formula {
  readonly solver: Solver<'g1'>;
  readonly #events: Event[] = [];
  readonly #A: Process;
  readonly #B: Process;
  readonly #lockDelay: Num;
  readonly #how: Arithmetic<Num, Fact> = {
    sum: (...terms) => terms.reduce((sum, term) => sum.add(term)),
    isBefore: (a, b) => a.lt(b),
    and: (a, b) => this.logic.And(a, b),
  };

  constructor(
    private readonly logic: Logic,
    private readonly question: Question,
    private readonly numbers: Numbers,
  ) {
    this.solver = new logic.Solver();
    this.#A = this.#process('A');
    this.#B = this.#process('B');
    this.#lockDelay = logic.Real.const('lockDelay');
    for (const { renewDeadline, leaseDuration } of [this.#A, this.#B])
      this.solver.add(renewDeadline.gt(0), leaseDuration.gt(renewDeadline));
    this.solver.add(this.#lockDelay.ge(0));
    this.#story();
    this.#numbers();
    this.#clocks();
  }

  // The story

  #story(): void {
    const sent = this.#event('A sends its record W');
    const committed = this.#event('W is stored');
    const heard = this.#event('A hears that W is stored');
    this.#inOrder(sent, committed, heard);
    const lookA = this.#event('A looks: it leads');

    const claimed = this.#event('B sends its claim');
    const stored = this.#event('the claim is stored');
    const heardByB = this.#event('B hears that its claim is stored');
    const lookB = this.#event('B looks: it leads');
    this.#inOrder(claimed, stored, heardByB);
    this.#inOrder(committed, stored);

    this.solver.add(this.#leads(this.#A, sent, heard, lookA), this.#leads(this.#B, claimed, heardByB, lookB));
    if (this.question.apart !== true) this.solver.add(lookA.at.eq(lookB.at));

    switch (this.question.way) {
      case 'expiry':
        this.#expiry(sent, committed, claimed);
        break;
      case 'release':
        this.#release(sent, committed, heard, lookA, claimed);
        break;
      case 'deletion':
        this.#deletion(committed, claimed, stored);
        break;
      case 'recreation':
        this.#recreation(sent, committed, claimed);
        break;
      case 'death':
        this.#death(committed, lookA, claimed);
        break;
    }
  }

  /** Rules 1, 2 and 5, by the formulas of rules.ts: `isValid()` and `validityOf()` of lib/election/observation.ts, `onProved()` of machine.ts. */
  #leads({ name, renewDeadline }: Process, sent: Event, heard: Event, look: Event): Fact {
    const from = this.#keeps('stamp') ? sent : heard;
    const isValid = this.#keeps('secondWitness')
      ? isCertain(this.#how, look[name], from[name], renewDeadline)
      : look[name].monotonic.lt(certainUntil(this.#how, from[name].monotonic, renewDeadline));
    return this.logic.And(look.at.ge(heard.at), isValid);
  }

  /** Rules 1 and 3: `owedTo()` of observation.ts, `claimableAt()` of decide.ts. */
  #expiry(sent: Event, committed: Event, claimed: Event): void {
    const isNewest = this.#keeps('conditional');
    const seen = this.#event(isNewest ? 'B sees W for the first time' : 'B sees the record before W');
    // The claim is carried out only if W is what B saw last.
    this.#inOrder(isNewest ? committed : seen, isNewest ? seen : sent);
    this.#inOrder(seen, claimed);
    const duration = this.#keeps('recordDuration') ? this.#A.leaseDuration : this.#B.leaseDuration;
    if (this.#keeps('firstSight')) this.#waits(this.#B, seen, claimed, duration);
    else this.solver.add(claimed.B.wall.ge(sent.A.wall.add(duration).add(this.#lockDelay)));
  }

  /** Rules 5 and 10: `beginRelease()` of machine.ts, `voidAttempts()` of sight.ts. A released lease is claimed at once. */
  #release(sent: Event, committed: Event, heard: Event, lookA: Event, claimed: Event): void {
    const ended = this.#event("A's term ends");
    const released = this.#event('A sends the release');
    const releaseStored = this.#event('the release is stored on top of W');
    const seen = this.#event('B sees the release');
    this.#inOrder(sent, ended);
    if (this.#keeps('closeFirst')) this.#inOrder(ended, released);
    this.#inOrder(sent, released, releaseStored, seen, claimed);
    this.#inOrder(committed, releaseStored);
    const isBeforeEnd = lookA.at.lt(ended.at);
    const isSecondTerm = this.logic.And(heard.at.ge(ended.at), lookA.at.ge(heard.at));
    this.solver.add(this.#keeps('voidAttempts') ? isBeforeEnd : this.logic.Or(isBeforeEnd, isSecondTerm));
  }

  /** Rule 3: `owedAfter()` of observation.ts. B may have missed the last renewals, and W itself. */
  #deletion(committed: Event, claimed: Event, stored: Event): void {
    const gone = this.#event('the Lease is deleted');
    this.#inOrder(committed, gone, stored);
    if (!this.#keeps('lateCreate')) {
      this.#inOrder(claimed, committed);
      return;
    }
    const seen = this.#event('B sees that there is no Lease');
    this.#inOrder(gone, seen, claimed);
    if (!this.#keeps('waitAfterDeletion') || !this.#keeps('knewLease')) return;
    const known = this.logic.Real.const('the duration that B knows');
    const { leaseDuration: own } = this.#B;
    const { leaseDuration: ofRecord } = this.#A;
    this.#waits(this.#B, seen, claimed, known);
    this.#waits(this.#B, seen, claimed, own);
    if (this.#keeps('longestLease')) this.solver.add(this.logic.Or(ofRecord.le(known), ofRecord.le(own)));
  }

  /** Rule 3: `mayHaveBeenTaken()` of observation.ts. A took over from B's record before the Lease was deleted. */
  #recreation(sent: Event, committed: Event, claimed: Event): void {
    const ownSent = this.#event('B sends its own earlier record');
    const ownStored = this.#event("B's earlier record is stored");
    const seen = this.#event("A sees B's record for the first time");
    const gone = this.#event('the Lease is deleted');
    const lossSeen = this.#event('B sees that there is no Lease');
    this.#inOrder(ownSent, ownStored, seen, sent);
    if (this.#keeps('releaseSent')) this.#waits(this.#A, seen, sent, this.#B.leaseDuration);
    else {
      const released = this.#event('B sends a release');
      const releaseStored = this.#event('the release is stored');
      this.#inOrder(ownStored, released, releaseStored, sent);
    }
    this.#inOrder(committed, gone, lossSeen, claimed);
    if (this.#keeps('ownWithinValidity')) this.solver.add(this.#leads(this.#B, ownSent, ownStored, lossSeen));
  }

  /** Rule 13: `heldUntil()` of observation.ts. A proof may come at any time after the death. */
  #death(committed: Event, lookA: Event, claimed: Event): void {
    const seen = this.#event('B sees W for the first time');
    const proven = this.#event("A's process is taken for dead");
    this.#inOrder(committed, seen, claimed);
    this.#inOrder(proven, claimed);
    if (!this.#keeps('death')) return;
    const died = this.#event("A's process dies");
    this.#inOrder(died, proven);
    this.solver.add(lookA.at.lt(died.at));
  }

  #waits({ name }: Process, from: Event, to: Event, duration: Num): void {
    const claimable = claimableFrom(this.#how, from[name].monotonic, duration, this.#lockDelay);
    this.solver.add(to[name].monotonic.ge(claimable));
  }

  // Time

  /** Between any two events no clock goes back, and a follower's goes faster than a holder's by the bound of G1 at most. */
  #clocks(): void {
    for (const earlier of this.#events) {
      for (const later of this.#events) {
        if (earlier === later) continue;
        const facts = [this.#A, this.#B].flatMap((holder) => {
          const follower = holder === this.#A ? this.#B : this.#A;
          const forward = later[holder.name].monotonic.ge(earlier[holder.name].monotonic);
          return [forward, ...this.#bound(holder, follower, earlier, later)];
        });
        this.solver.add(this.logic.Implies(earlier.at.le(later.at), this.logic.And(...facts)));
      }
    }
  }

  /**
   * The bound of G1, by the holder's clock that goes on: the wall clock if its machine is suspended. The other clock may stand
   * still, or be set to any time.
   */
  #bound({ name, isSuspended, ...holder }: Process, follower: Process, earlier: Event, later: Event): Fact[] {
    if (!WAYS[this.question.way].needsClocks || this.#areClocksEven()) return [];
    const { If } = this.logic;
    const clock = (event: Event): Num => If(isSuspended, event[name].wall, event[name].monotonic);
    const followed = later[follower.name].monotonic.sub(earlier[follower.name].monotonic);
    const held = clock(later).sub(clock(earlier));
    const percent = this.#keeps('rates') ? 100 : 101;
    return [followed.mul(holder.renewDeadline).mul(100).le(held.mul(holder.leaseDuration).mul(percent))];
  }

  #areClocksEven(): boolean {
    return this.numbers === 'default' || this.numbers === 'plain';
  }

  #numbers(): void {
    if (this.numbers === 'any') return;
    const fixed = this.numbers === 'plain' ? [this.#A] : [this.#A, this.#B];
    for (const { renewDeadline, leaseDuration } of fixed)
      this.solver.add(renewDeadline.eq(10), leaseDuration.eq(15));
    this.solver.add(this.#lockDelay.eq(0));
    // Durations that options allow.
    this.solver.add(this.#B.renewDeadline.ge(2), this.#B.leaseDuration.ge(3));
    const wallOfA = this.logic.Real.const("A's wall clock at the start");
    const wallOfB = this.logic.Real.const("B's wall clock at the start");
    for (const { at, A, B } of this.#events) {
      this.solver.add(B.monotonic.eq(at), B.wall.eq(at.add(wallOfB)));
      if (this.#areClocksEven()) this.solver.add(A.monotonic.eq(at), A.wall.eq(at.add(wallOfA)));
    }
  }

  // Words

  /** Whether the question leaves a rule as it is. */
  #keeps(rule: RuleName): boolean {
    return this.question.without !== rule;
  }

  #event(text: string): Event {
    const real = (what: string): Num => this.logic.Real.const(`${what}: ${text}`);
    const clocks = (name: ProcessName): Clocks => ({
      monotonic: real(`${name}'s clock`),
      wall: real(`${name}'s wall clock`),
    });
    const event = { text, at: real('time'), A: clocks('A'), B: clocks('B') };
    this.#events.push(event);
    return event;
  }

  #process(name: ProcessName): Process {
    return {
      name,
      renewDeadline: this.logic.Real.const(`${name}'s renewDeadline`),
      leaseDuration: this.logic.Real.const(`${name}'s leaseDuration`),
      isSuspended: this.logic.Bool.const(`${name} is suspended`),
    };
  }

  #inOrder(first: Event, ...others: readonly Event[]): void {
    let last = first;
    for (const event of others) {
      // In a story nothing takes less than 10 ms, so that its order can be read.
      this.solver.add(event.at.ge(this.numbers === 'any' ? last.at : last.at.add('0.01')));
      last = event;
    }
  }

  /** The story that the solver has found, in seconds. It shows the clocks that it is about. */
  story(): string[] {
    const model = this.solver.model();
    const valueOf = (term: Num): number => {
      const value = model.eval(term, true);
      return this.logic.isRealVal(value) ? value.asNumber() : Number.NaN;
    };
    const told = this.#events
      .map(({ text, at, A, B }) => ({
        text,
        at: valueOf(at),
        clock: valueOf(A.monotonic),
        walls: [valueOf(A.wall), valueOf(B.wall)],
      }))
      .toSorted((one, other) => one.at - other.at);
    const [start] = told;
    const seconds = (value: number, from = 0): string => (value - from).toFixed(3);
    const events = told.map(({ text, at, clock, walls: [wallOfA = 0, wallOfB = 0] }) => {
      const shown = this.#areClocksEven() ? '' : ` · A's monotonic clock: ${seconds(clock, start?.clock)}`;
      const ahead = seconds(wallOfB, wallOfA);
      const walls = this.#keeps('firstSight') ? '' : ` · B's wall clock is ahead of A's by ${ahead}`;
      return `${seconds(at, start?.at).padStart(7)}  ${text}${shown}${walls}`;
    });
    const durations = ({ name, renewDeadline, leaseDuration }: Process): string =>
      `         ${name}: renewDeadline ${seconds(valueOf(renewDeadline))}, leaseDuration ${seconds(valueOf(leaseDuration))}`;
    return [durations(this.#A), durations(this.#B), ...events];
  }
}
