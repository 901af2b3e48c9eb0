import {
  LeaseElector,
  SystemClock,
  unfailingMeter,
  type Attendant,
  type Clock,
  type ElectionMeter,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type LeaderError,
  type LeaseUpdate,
  type StepDownOptions,
} from '../election/internal.js';

/** An elector with attendants. They get each event after all other observers. */
export class AttendedElector implements Elector {
  readonly #elector: Elector;
  readonly #attendants: readonly Attendant[];
  readonly #meter: ElectionMeter | undefined;

  /** @param meter counts the errors of the attendants; the elector counts its own. */
  constructor(elector: Elector, attendants: readonly Attendant[], meter: ElectionMeter | undefined) {
    this.#elector = elector;
    this.#attendants = attendants;
    this.#meter = meter;
  }

  get leaseName(): string {
    return this.#elector.leaseName;
  }

  get identity(): string {
    return this.#elector.identity;
  }

  get clock(): Clock {
    return this.#elector.clock ?? new SystemClock();
  }

  get state(): ElectorState {
    return this.#elector.state;
  }

  /** Resolves when the election and all attendants have ended. */
  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    // A second start is refused by the elector. An election that ends at once needs no attendants.
    const attendants = this.state.kind === 'idle' && !signal.aborted ? this.#attendants : [];
    const running = this.#elector.run(signal, (event) => {
      try {
        observer(event);
      } finally {
        for (const attendant of attendants) attendant.onEvent?.(event);
      }
    });
    const tell = (error: LeaderError): void => {
      observer({ type: 'error', error });
    };
    const measure = unfailingMeter(this.#meter, tell);
    for (const attendant of attendants)
      attendant.start((error) => {
        measure({ type: 'failed', code: error.code });
        tell(error);
      });
    try {
      await running;
    } finally {
      await Promise.all(attendants.map(async (attendant) => attendant.stop()));
    }
  }

  stepDown(options?: StepDownOptions): Promise<void> {
    return this.#elector.stepDown(options);
  }

  endAtExit(): readonly LeaseUpdate[] {
    return this.#elector.endAtExit?.() ?? [];
  }

  /** As `askForLease` of a {@link LeaseElector}; false for other electors. */
  askForLease(): Promise<boolean> {
    return this.#elector instanceof LeaseElector ? this.#elector.askForLease() : Promise.resolve(false);
  }
}
