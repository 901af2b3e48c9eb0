import {
  LeaseRequestError,
  resolveElectionOptions,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type WatchEvent,
  type WriteOutcome,
} from '../election/internal.js';
import { checkedResponse, jsonIn, objectIn, reading } from './answers.js';
import type { ApiConnection, ApiResponse } from './api-connection.js';
import { UnusableObject } from './api-object.js';
import {
  LEASE_KIND,
  ageOf,
  changedLease,
  leaseIn,
  newLease,
  type LeaseAddress,
  type LeaseReference,
} from './lease-object.js';
import { watchObject } from './object-watch.js';
import {
  failure,
  readStatus,
  refusal,
  saysNoLease,
  unusable,
  type RequestContext,
} from './request-errors.js';
import { REHEARSED, rehearseOnce } from './rehearsal.js';
import { LEASES, pathOf } from './resources.js';

/**
 * A Lease of a Kubernetes API server.
 *
 * Every write is conditional: an update on uid and resourceVersion, a creation on the Lease not existing. The Lease
 * is created by PUT, too, because `resourceNames` in a Role cannot restrict a POST.
 */
export class KubernetesLeaseLock implements LeaseLock {
  readonly #connection: ApiConnection;
  readonly #address: LeaseAddress;
  readonly #path: string;
  readonly #serverClockMargin: number | undefined;
  /** The uid in the last answer. */
  #uid: string | undefined;

  /**
   * @param connection a `KubernetesConnection`, or a transport of your own.
   * @param address.labels set when the Lease is created, and again if they are missing; other labels are kept.
   * @param address.owner set when the Lease is created, and only then.
   * @param serverClockMargin by how many milliseconds the clocks of the API servers may differ. With it, a read says how old the
   * record is by their clocks. Default: it does not.
   * @throws InvalidOptionsError `LEADER_INVALID_OPTIONS` for names that no Lease and no namespace can have.
   */
  constructor(connection: ApiConnection, address: LeaseAddress, serverClockMargin?: number) {
    // Checked like the options of an election, so that errors name the options.
    resolveElectionOptions(
      { leaseName: address.name },
      { leaseNamespace: address.namespace, identity: 'any' },
    );
    this.#connection = connection;
    this.#address = address;
    this.#serverClockMargin = serverClockMargin;
    this.#path = pathOf(LEASES, 'v1', address);
  }

  describe(): string {
    return `${this.#address.namespace}/${this.#address.name}`;
  }

  /** The reference to the Lease, for Events. */
  get reference(): LeaseReference {
    const { name, namespace } = this.#address;
    return { ...LEASE_KIND, name, namespace, uid: this.#uid };
  }

  async get(call: LeaseCall): Promise<LeaseSnapshot | undefined> {
    const context = this.#context('get');
    const response = await this.#send(context, call);
    if (saysNoLease(response)) return undefined;
    if (response.status !== 200) throw refusal(response, context);
    return this.#seen(this.#aged(read(response, context), response, context));
  }

  /** @param annotations of the Lease, if it is created. Default: none. */
  async create(
    record: LeaseRecord,
    call: LeaseCall,
    annotations?: Readonly<Record<string, string>>,
  ): Promise<WriteOutcome> {
    return this.#put('create', newLease(record, this.#address, annotations), call);
  }

  async update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    return this.#put('update', this.#changed(base, record), call, base.uid);
  }

  /** The request of {@link update}, to be sent by other means. */
  requestToUpdate(
    base: LeaseSnapshot,
    record: LeaseRecord,
  ): { readonly path: string; readonly body: object } {
    return { path: this.#path, body: this.#changed(base, record) };
  }

  async watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    await watchObject(
      {
        connection: this.#connection,
        path: pathOf(LEASES, 'v1', { namespace: this.#address.namespace }),
        context: this.#context('watch'),
        knownUid: () => this.#uid,
        readUid: async (call) => (await this.get(call))?.uid,
        onEvent: (event) => {
          if (event.kind === 'opened') {
            rehearseOnce((connection) => new KubernetesLeaseLock(connection, REHEARSED), signal);
            onEvent(event);
          } else if (event.kind === 'seen') onEvent({ kind: 'seen', snapshot: leaseIn(event.object) });
          else onEvent({ kind: 'deleted', resourceVersion: event.object.metadata.resourceVersion });
        },
      },
      signal,
    );
  }

  #changed(base: LeaseSnapshot, record: LeaseRecord): object {
    try {
      return changedLease(base, record, this.#address);
    } catch (error) {
      if (!(error instanceof UnusableObject)) throw error;
      const message = `The snapshot to update was not read from ${this.describe()}: ${error.message}.`;
      throw new LeaseRequestError('LEADER_REQUEST_INVALID', message, { maybeCommitted: false });
    }
  }

  /** @param uid of the Lease that is updated. The answer must have the same. */
  async #put(verb: 'create' | 'update', body: object, call: LeaseCall, uid?: string): Promise<WriteOutcome> {
    const context = this.#context(verb);
    const response = await this.#send(context, call, body);
    if (response.status === 200 || response.status === 201) {
      const snapshot = read(response, context);
      if (uid !== undefined && snapshot.uid !== uid)
        throw unusable('it is a different object: its metadata.uid is not that of the updated one', context);
      return { kind: 'written', snapshot: this.#seen(snapshot) };
    }
    if (response.status === 409 || isThereAlready(response)) return { kind: 'conflict' };
    throw refusal(response, context);
  }

  async #send(context: RequestContext, call: LeaseCall, body?: object): Promise<ApiResponse> {
    try {
      const answer = await this.#connection.request({
        method: body === undefined ? 'GET' : 'PUT',
        path: this.#path,
        body,
        signal: call.signal,
        newConnection: call.newConnection,
        preparing: call.preparing,
      });
      return checkedResponse(answer, context);
    } catch (error) {
      throw failure(error, context);
    }
  }

  #aged(snapshot: LeaseSnapshot, response: ApiResponse, context: RequestContext): LeaseSnapshot {
    if (this.#serverClockMargin === undefined) return snapshot;
    const ageMs = ageOf(jsonIn(response, context), response.headers['date'], this.#serverClockMargin);
    return ageMs === undefined ? snapshot : { ...snapshot, ageMs };
  }

  #seen(snapshot: LeaseSnapshot): LeaseSnapshot {
    this.#uid = snapshot.uid;
    return snapshot;
  }

  #context(verb: RequestContext['verb']): RequestContext {
    return { verb, resource: LEASES, name: this.#address.name, namespace: this.#address.namespace };
  }
}

/** Whether the object exists: only then is a PUT refused because it has no resourceVersion. */
function isThereAlready(response: ApiResponse): boolean {
  return response.status === 422 && readStatus(response.text).fields.includes('metadata.resourceVersion');
}

function read(response: ApiResponse, context: RequestContext): LeaseSnapshot {
  return reading(context, () => leaseIn(objectIn(response, context)));
}
