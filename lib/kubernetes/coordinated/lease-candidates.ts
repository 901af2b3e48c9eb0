import type { LeaseCall, WatchEvent } from '../../election/internal.js';
import type { KubernetesConnection } from '../connection.js';
import { leaseIn, type LeaseAddress } from '../lease-object.js';
import { jsonIn, objectIn, reading } from '../answers.js';
import { watchObject } from '../object-watch.js';
import { failure, readStatus, refusal, unusable, type RequestContext } from '../request-errors.js';
import { LEASE_CANDIDATES, pathOf } from '../resources.js';
import type { HttpResponse, Method } from '../transport.js';
import {
  candidateIn,
  candidateObject,
  type CandidateObject,
  type CandidateSpec,
} from './candidate-object.js';

const { group: GROUP, plural: PLURAL } = LEASE_CANDIDATES;
/** The API versions that may have LeaseCandidates in the form we write, preferred first. `v1` does not have them yet. */
const VERSIONS = ['v1', 'v1beta1', 'v1alpha2'] as const;
type Version = (typeof VERSIONS)[number];

/**
 * The API version that has LeaseCandidates; undefined if none has. @throws LeaseRequestError if the API server does
 * not say.
 */
export async function findCandidatesApi(
  connection: KubernetesConnection,
  candidate: Pick<RequestContext, 'name' | 'namespace'>,
  call: LeaseCall,
): Promise<Version | undefined> {
  const context = { ...candidate, verb: 'get', resource: LEASE_CANDIDATES } as const;
  for (const version of VERSIONS) {
    const response = await send(
      connection,
      context,
      { method: 'GET', path: `/apis/${GROUP}/${version}` },
      call,
    );
    if (response.status !== 200 && response.status !== 404) throw refusal(response, context);
    if (response.status === 200 && namesIn(response, context).includes(PLURAL)) return version;
  }
  return undefined;
}

/** Reads, writes and watches the LeaseCandidate of this process. Throws only `LeaseRequestError`. */
export class LeaseCandidates {
  readonly #connection: KubernetesConnection;
  readonly version: Version;
  readonly #name: string;
  readonly #lease: LeaseAddress;
  /** The uid in the last answer. */
  #uid: string | undefined;

  constructor(connection: KubernetesConnection, version: Version, name: string, lease: LeaseAddress) {
    this.#connection = connection;
    this.version = version;
    this.#name = name;
    this.#lease = lease;
  }

  /** Reads the candidate; undefined if it does not exist. */
  async get(call: LeaseCall): Promise<CandidateObject | undefined> {
    const context = this.#context('get');
    const response = await this.#send(context, 'GET', call);
    if (isMissing(response)) return undefined;
    return this.#seen(read(response, context));
  }

  /**
   * Creates or renews the candidate.
   *
   * @returns undefined if it is no longer as `base` says, so it must be read again.
   */
  async put(
    own: CandidateSpec,
    date: number,
    base: CandidateObject | undefined,
    call: LeaseCall,
  ): Promise<CandidateObject | undefined> {
    const context = this.#context(base === undefined ? 'create' : 'update');
    const body = candidateObject(`${GROUP}/${this.version}`, this.#name, this.#lease, own, date, base);
    const response = await this.#send(context, 'PUT', call, body);
    const isThereAlready =
      response.status === 422 && readStatus(response.text).fields.includes('metadata.resourceVersion');
    if (response.status === 409 || isThereAlready || isMissing(response)) return undefined;
    return this.#seen(read(response, context, base));
  }

  async delete(call: LeaseCall): Promise<void> {
    const context = this.#context('delete');
    const response = await this.#send(context, 'DELETE', call);
    if (response.status !== 200 && response.status !== 404) throw refusal(response, context);
  }

  /**
   * Watches the candidate. The events are those of a watch on a lease and carry the candidate: see {@link
   * candidateOf}.
   */
  watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    return watchObject(
      {
        connection: this.#connection,
        path: pathOf(LEASE_CANDIDATES, this.version, { namespace: this.#lease.namespace }),
        context: this.#context('watch'),
        knownUid: () => this.#uid,
        readUid: async (call) => (await this.get(call))?.metadata.uid,
        onEvent: (event) => {
          if (event.kind === 'opened') {
            onEvent(event);
            return;
          }
          const { kind, object } = event;
          if (kind === 'deleted') onEvent({ kind, resourceVersion: object.metadata.resourceVersion });
          else onEvent({ kind, snapshot: { ...leaseIn(object), carried: candidateIn(object) } });
        },
      },
      signal,
    );
  }

  #send(context: RequestContext, method: Method, call: LeaseCall, body?: object): Promise<HttpResponse> {
    const { namespace } = this.#lease;
    const path = pathOf(LEASE_CANDIDATES, this.version, { namespace, name: this.#name });
    return send(this.#connection, context, { method, path, body }, call);
  }

  #seen(candidate: CandidateObject): CandidateObject {
    this.#uid = candidate.metadata.uid;
    return candidate;
  }

  #context(verb: RequestContext['verb']): RequestContext {
    return { verb, resource: LEASE_CANDIDATES, name: this.#name, namespace: this.#lease.namespace };
  }
}

/** The candidate that an event of its watch shows; undefined if it was deleted. */
export function candidateOf(event: Exclude<WatchEvent, { kind: 'opened' }>): CandidateObject | undefined {
  return event.kind === 'seen' ? (event.snapshot.carried as CandidateObject) : undefined;
}

async function send(
  connection: KubernetesConnection,
  context: RequestContext,
  request: { method: Method; path: string; body?: object | undefined },
  call: LeaseCall,
): Promise<HttpResponse> {
  try {
    return await connection.request({ ...request, ...call });
  } catch (error) {
    throw failure(error, context);
  }
}

/** The names of the resources in an APIResourceList. @throws LeaseRequestError if the response is not one. */
function namesIn(response: HttpResponse, context: RequestContext): unknown[] {
  const { resources } = Object(jsonIn(response, context)) as { readonly resources?: unknown };
  if (!Array.isArray(resources)) throw unusable('it is not a list of resources', context);
  return resources.map((resource) => (Object(resource) as { readonly name?: unknown }).name);
}

/** Whether an API that has LeaseCandidates says that this one does not exist. */
function isMissing({ status, text }: HttpResponse): boolean {
  return status === 404 && readStatus(text).kind === PLURAL;
}

/** @param base the candidate that was updated. The answer must have the same uid. */
function read(response: HttpResponse, context: RequestContext, base?: CandidateObject): CandidateObject {
  if (response.status !== 200 && response.status !== 201) throw refusal(response, context);
  const candidate = reading(context, () => candidateIn(objectIn(response, context)));
  if (base !== undefined && candidate.metadata.uid !== base.metadata.uid)
    throw unusable('it is a different object: its metadata.uid is not that of the updated one', context);
  return candidate;
}
