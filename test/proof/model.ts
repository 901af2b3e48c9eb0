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
 * five ways; each way is proved by itself.
 *
 * **What it does not contain**: a Lease that is edited by hand, two processes of one identity, `reclaimOwnLease`,
 * `serverClockMargin`, and whether the code does what the rules say. The simulation is for that.
 */
import { init, killThreads, type Arith, type Bool, type Context, type Solver } from 'z3-solver';

type Num = Arith<'g1'>;
type Fact = Bool<'g1'>;
type Logic = Context<'g1'>;
type ProcessName = 'A' | 'B';

/** What may be left out: the number of the rule in ARCHITECTURE.md, the rule, and what happens instead of it. */
export const RULES = {
  stamp: { rule: '1', says: 'a validity counts from the sending', without: 'it counts from the reply' },
  firstSight: {
    rule: '1',
    says: 'others wait from their first sight, by their own clock',
    without: 'they compare the `renewTime` in the record with their wall clock',
  },
  recordDuration: {
    rule: '1',
    says: 'others wait for the duration in the record',
    without: 'they wait for their own `leaseDuration`',
  },
  secondWitness: {
    rule: '2',
    says: 'a term is valid on both clocks',
    without: 'the monotonic clock alone counts, which stands still in a suspended machine',
  },
  conditional: {
    rule: '3',
    says: 'a write is conditional on what was seen last',
    without: 'a claim overwrites a renewal that the claimant has not seen',
  },
  waitAfterDeletion: {
    rule: '3',
    says: 'after a deletion the last holder is owed a whole lease',
    without: 'whoever finds no Lease creates it',
  },
  ownWithinValidity: {
    rule: '3',
    says: 'who finds its own Lease deleted creates it at once only within its validity',
    without: 'it does so at any time',
  },
  voidAttempts: {
    rule: '5',
    says: 'attempts are void when a release begins',
    without: 'a late reply begins a second term',
  },
  closeFirst: {
    rule: '10',
    says: 'a term ends before its release is sent',
    without: 'the release is sent while the term goes on',
  },
  death: {
    rule: '13',
    says: 'only a dead process is proven dead',
    without: 'the process that is taken for dead lives',
  },
  rates: {
    rule: 'G1',
    says: 'no clock runs faster than another by more than leaseDuration ÷ renewDeadline',
    without: 'clocks run at any rate',
  },
  // The known bounds of docs/guarantees.md.
  knewLease: {
    rule: 'bound',
    says: 'the claimant knew the deleted Lease',
    without: 'it has just started',
  },
  lateCreate: {
    rule: 'bound',
    says: 'a creation is carried out before another process has created the Lease and lost it',
    without: 'it is carried out after that',
  },
  longestLease: {
    rule: 'bound',
    says: "a deleted record's duration is no longer than the longest that the claimant knows",
    without: 'leases of other durations are deleted',
  },
} as const;

export type RuleName = keyof typeof RULES;

/** How the first claim after A's record W comes about. */
export const WAYS = {
  expiry: 'B has seen W run out',
  release: 'A has released the lease',
  deletion: 'the Lease was deleted, and B creates it',
  recreation: "B's own Lease was deleted, and B creates it again at once",
  death: "A's process was proven dead",
} as const;

export type Way = keyof typeof WAYS;

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
interface Clocks {
  readonly monotonic: Num;
  readonly wall: Num;
}

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
 * `plain`: B has other durations. `uneven`: the default durations. `any`: any; only this proves that there is no story.
 */
const NUMBERS = ['default', 'plain', 'uneven', 'any'] as const;
type Numbers = (typeof NUMBERS)[number];

/** Asks a solver {@link Question}s. */
export class Prover {
  private constructor(
    private readonly logic: Logic,
    /** Ends the solver's threads. */
    readonly stop: () => Promise<void>,
  ) {}

  static async start(): Promise<Prover> {
    const { Context, em } = await init();
    return new Prover(Context('g1'), async () => {
      await killThreads(em);
    });
  }

  /** @throws Error if the solver cannot tell. */
  async ask(question: Question): Promise<Verdict> {
    for (const numbers of NUMBERS) {
      const formula = new Formula(this.logic, question, numbers);
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

  /** Rules 1, 2 and 5: `isValid()` and `validityOf()` of lib/election/observation.ts, `onProved()` of machine.ts. */
  #leads({ name, renewDeadline }: Process, sent: Event, heard: Event, look: Event): Fact {
    const from = this.#keeps('stamp') ? sent : heard;
    const onMonotonic = look[name].monotonic.lt(from[name].monotonic.add(renewDeadline));
    const onWall = look[name].wall.lt(from[name].wall.add(renewDeadline));
    const isValid = this.#keeps('secondWitness') ? this.logic.And(onMonotonic, onWall) : onMonotonic;
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
    this.#waits(this.#A, seen, sent, this.#B.leaseDuration);
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
    this.solver.add(to[name].monotonic.ge(from[name].monotonic.add(duration).add(this.#lockDelay)));
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
    if (!this.#keeps('rates') || this.#areClocksEven()) return [];
    const { If } = this.logic;
    const clock = (event: Event): Num => If(isSuspended, event[name].wall, event[name].monotonic) as Num;
    const followed = later[follower.name].monotonic.sub(earlier[follower.name].monotonic);
    const held = clock(later).sub(clock(earlier));
    return [followed.mul(holder.renewDeadline).le(held.mul(holder.leaseDuration))];
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
    if (!this.#areClocksEven()) return;
    const [first] = this.#events;
    for (const event of this.#events) {
      for (const name of ['A', 'B'] as const) {
        const passed = event.at.sub(first.at);
        this.solver.add(event[name].monotonic.eq(passed), event[name].wall.sub(first[name].wall).eq(passed));
      }
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

  #inOrder(...events: readonly Event[]): void {
    for (const [at, event] of events.slice(1).entries()) this.solver.add(event.at.ge(events[at].at));
  }

  /** The events of a story that the solver has found, in seconds. */
  story(): string[] {
    const model = this.solver.model();
    const valueOf = (term: Num): number => {
      const value = model.eval(term, true);
      return this.logic.isRealVal(value) ? value.asNumber() : Number.NaN;
    };
    const [first] = this.#events.toSorted((one, other) => valueOf(one.at) - valueOf(other.at));
    const since = (of: (event: Event) => Num, event: Event): string =>
      (valueOf(of(event)) - valueOf(of(first))).toFixed(2);
    return this.#events
      .map((event) => ({ event, at: valueOf(event.at) }))
      .toSorted((one, other) => one.at - other.at)
      .map(
        ({ event }) =>
          `${since(({ at }) => at, event)} s: ${event.text} ` +
          `(A's clock ${since(({ A }) => A.monotonic, event)}, B's ${since(({ B }) => B.monotonic, event)})`,
      );
  }
}
