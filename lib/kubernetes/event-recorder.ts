import {
  LeaderError,
  SystemClock,
  type Attendant,
  type Clock,
  type ElectionEvent,
  type LeadershipTerm,
  type Report,
} from '../election/internal.js';
import { USER_AGENT } from './access.js';
import type { KubernetesConnection } from './connection.js';
import type { LeaseReference } from './lease-object.js';
import { EVENTS, pathOf } from './resources.js';
import { SideRequests } from './side-requests.js';

const PATIENCE_MS = 1_000;
/**
 * How many Events may be in flight. Each ends within twice the patience, so only a lease that keeps changing hands
 * reaches this.
 */
const MOST_UNDER_WAY = 10;

/**
 * Writes Kubernetes Events on the Lease as client-go's leader election does: `<identity> became leader` and `<identity>
 * stopped leading`. They are for people: nothing depends on them, and the election does not wait for them.
 */
export class EventRecorder implements Attendant {
  readonly #requests: SideRequests;
  readonly #clock: Clock;
  readonly #leaseOf: (leaseName: string) => LeaseReference | undefined;
  readonly #underWay = new Set<Promise<void>>();
  #report: Report = () => undefined;
  /** The last Event failed, and that was reported. */
  #failing = false;

  /** @param leaseOf finds the Lease by its name. */
  constructor(
    connection: KubernetesConnection,
    leaseOf: (leaseName: string) => LeaseReference | undefined,
    clock: Clock = new SystemClock(),
  ) {
    this.#requests = new SideRequests(connection, PATIENCE_MS, clock);
    this.#leaseOf = leaseOf;
    this.#clock = clock;
  }

  /** Reports `LEADER_EVENT_FAILED` when an Event cannot be written: once, until the next Event is written. */
  start(report: Report): void {
    this.#report = report;
  }

  /** Records the start or the end of a term. Returns at once. */
  onEvent(event: ElectionEvent): void {
    if (event.type === 'startedLeading') this.#record(event.term, 'became leader');
    if (event.type === 'stoppedLeading') this.#record(event.term, 'stopped leading');
  }

  /** Resolves when no request is in flight: within a few seconds, whatever the API server does. */
  async stop(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #record({ leaseName, identity }: LeadershipTerm, what: string): void {
    const lease = this.#leaseOf(leaseName);
    if (lease === undefined) return;
    const event = eventOn(lease, `${identity} ${what}`, this.#clock);
    if (this.#underWay.size >= MOST_UNDER_WAY) {
      this.#failed(new Error(`${String(MOST_UNDER_WAY)} other Events are still being written`));
      return;
    }
    const written = this.#write(event).finally(() => this.#underWay.delete(written));
    this.#underWay.add(written);
  }

  async #write(event: LeaseEvent): Promise<void> {
    const { namespace } = event.metadata;
    const request = {
      method: 'POST',
      path: pathOf(EVENTS, 'v1', { namespace }),
      body: event,
      context: { verb: 'create', resource: EVENTS, name: '', namespace },
    } as const;
    try {
      // Retried once, because an idle connection may just have been closed. A duplicate Event does less harm than a lost one.
      await this.#requests.send(request).catch(() => this.#requests.send(request));
      this.#failing = false;
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(cause: unknown): void {
    if (this.#failing) return;
    this.#failing = true;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `A Kubernetes Event on the Lease could not be written: ${why}`;
    this.#report(new LeaderError('LEADER_EVENT_FAILED', message, { cause }));
  }
}

type LeaseEvent = ReturnType<typeof eventOn>;

/** A core/v1 Event with the fields that client-go's recorder sets. */
function eventOn(lease: LeaseReference, message: string, clock: Clock) {
  const at = `${new Date(clock.date()).toISOString().slice(0, 19)}Z`;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { generateName: `${lease.name}.`, namespace: lease.namespace },
    involvedObject: lease,
    type: 'Normal',
    reason: 'LeaderElection',
    message,
    source: { component: USER_AGENT },
    reportingComponent: USER_AGENT,
    firstTimestamp: at,
    lastTimestamp: at,
    count: 1,
  };
}
