import {
  LeaseElector,
  SystemClock,
  type Attendant,
  type Clock,
  type ElectionObserver,
  type Elector,
  type ElectorState,
  type StepDownOptions,
} from '../election/index.js';

/** An elector with attendants, who hear of its events after everybody else. */
export class AttendedElector implements Elector {
  readonly #elector: Elector;
  readonly #attendants: readonly Attendant[];

  constructor(elector: Elector, attendants: readonly Attendant[]) {
    this.#elector = elector;
    this.#attendants = attendants;
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
    // Started a second time is the elector's to refuse.
    const attendants = this.state.kind === 'idle' ? this.#attendants : [];
    const running = this.#elector.run(signal, (event) => {
      try {
        observer(event);
      } finally {
        for (const attendant of attendants) attendant.onEvent?.(event);
      }
    });
    for (const attendant of attendants)
      attendant.start((error) => {
        observer({ type: 'error', error });
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
