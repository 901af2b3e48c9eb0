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
  type StepDownOptions,
} from '../election/index.js';

/** An elector with attendants, who hear of its events after everybody else. */
export class AttendedElector implements Elector {
  readonly #elector: Elector;
  readonly #attendants: readonly Attendant[];
  readonly #meter: ElectionMeter | undefined;

  /** @param meter counts what the attendants fail with; the elector counts the rest. */
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

  /** Resolves when the election has ended and the attendants have. */
  async run(signal: AbortSignal, observer: ElectionObserver): Promise<void> {
    // Started a second time is the elector's to refuse; one that is to end at once has nothing to be attended to.
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

  /** As of a {@link LeaseElector}; false for any other. */
  askForLease(): Promise<boolean> {
    return this.#elector instanceof LeaseElector ? this.#elector.askForLease() : Promise.resolve(false);
  }
}
