import type {
  LeaseCall,
  LeaseLock,
  LeaseRecord,
  LeaseSnapshot,
  WatchEvent,
  WriteOutcome,
} from '../election/index.js';
import type { ApiConnection, ApiResponse } from './api-connection.js';
import {
  LEASE_KIND,
  changedLease,
  newLease,
  parseLease,
  type LeaseAddress,
  type LeaseReference,
} from './lease-object.js';
import { watchLease } from './lease-watch.js';
import { failure, readStatus, refusal, saysNoLease, type RequestContext } from './request-errors.js';
import { LEASES } from './resources.js';

/**
 * A Lease of a Kubernetes API server.
 *
 * Every write is conditional: an update on uid and resourceVersion, a first write on there being no such Lease. That
 * one is a PUT, too, so that a Role may name the Lease it is limited to (POST is refused under `resourceNames`).
 */
export class KubernetesLeaseLock implements LeaseLock {
  readonly #connection: ApiConnection;
  readonly #address: LeaseAddress;
  readonly #path: string;
  /** As last seen in an answer. */
  #uid: string | undefined;

  /**
   * @param connection a `KubernetesConnection`, or a transport of your own.
   * @param address.labels set when the Lease is created, put back when missing; others' are kept.
   * @param address.owner set when the Lease is created, and only then.
   */
  constructor(connection: ApiConnection, address: LeaseAddress) {
    this.#connection = connection;
    this.#address = address;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${address.namespace}/leases`;
  }

  describe(): string {
    return `${this.#address.namespace}/${this.#address.name}`;
  }

  /** The Lease, as Events refer to it. */
  get reference(): LeaseReference {
    const { name, namespace } = this.#address;
    return { ...LEASE_KIND, name, namespace, uid: this.#uid };
  }

  async get(call: LeaseCall): Promise<LeaseSnapshot | undefined> {
    const context = this.#context('get');
    const response = await this.#send(context, call);
    if (saysNoLease(response)) return undefined;
    if (response.status !== 200) throw refusal(response, context);
    return this.#seen(leaseIn(response, context));
  }

  async create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    return this.#put('create', newLease(record, this.#address), call);
  }

  async update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    return this.#put('update', changedLease(base, record, this.#address), call);
  }

  async watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    await watchLease(this.#connection, this.#path, this.#context('watch'), onEvent, signal);
  }

  async #put(verb: 'create' | 'update', body: object, call: LeaseCall): Promise<WriteOutcome> {
    const context = this.#context(verb);
    const response = await this.#send(context, call, body);
    if (response.status === 200 || response.status === 201) {
      return { kind: 'written', snapshot: this.#seen(leaseIn(response, context)) };
    }
    if (response.status === 409 || isThereAlready(response)) return { kind: 'conflict' };
    throw refusal(response, context);
  }

  async #send(context: RequestContext, call: LeaseCall, body?: object): Promise<ApiResponse> {
    try {
      return await this.#connection.request({
        method: body === undefined ? 'GET' : 'PUT',
        path: `${this.#path}/${this.#address.name}`,
        body,
        signal: call.signal,
        newConnection: call.newConnection,
        preparing: call.preparing,
      });
    } catch (error) {
      throw failure(error, context);
    }
  }

  #seen(snapshot: LeaseSnapshot): LeaseSnapshot {
    this.#uid = snapshot.uid;
    return snapshot;
  }

  #context(verb: RequestContext['verb']): RequestContext {
    return { verb, resource: LEASES, name: this.#address.name, namespace: this.#address.namespace };
  }
}

/** A PUT without resourceVersion is refused for lacking it exactly if the object exists. */
function isThereAlready(response: ApiResponse): boolean {
  return response.status === 422 && readStatus(response.text).fields.includes('metadata.resourceVersion');
}

function leaseIn(response: ApiResponse, context: RequestContext): LeaseSnapshot {
  let lease: LeaseSnapshot | undefined;
  try {
    lease = parseLease(JSON.parse(response.text));
  } catch {
    // Not JSON: a proxy's page, say. Treated as any other answer without a Lease in it.
  }
  if (lease === undefined) throw refusal(response, context);
  return lease;
}
