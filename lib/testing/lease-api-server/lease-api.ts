import type { AccessControl } from './access.js';
import { isTrue, type LeaseTarget, type RequestUser } from './api-request.js';
import { decodeDeleteOptions, decodeLease, requireJson, type DeleteOptions } from './body-decoding.js';
import type { StoredLease } from './lease-object.js';
import { asPatchType, patchLease } from './lease-patch.js';
import { listLeases } from './lease-list.js';
import type { LeaseStore } from './lease-store.js';
import { createLease, deleteLease, replaceLease, storePatched, type WriteCall } from './lease-writes.js';
import { parseListOptions, parseResourceVersion } from './list-options.js';
import { objectReply, type Reply } from './reply.js';
import { RESOURCE, methodNotAllowed, namespaceNotFound, notFound, unsupportedMediaType } from './status.js';
import { asTable, type TableForm, type Tabular } from './table.js';
import { parseWriteOptions, type WriteOptions } from './write-options.js';

/** A request for Leases, whole. */
export interface LeaseRequest extends RequestUser {
  readonly target: LeaseTarget;
  readonly query: URLSearchParams;
  readonly contentType: string | undefined;
  readonly userAgent: string | undefined;
  readonly body: string;
  /** As which table the answer is wanted, if as one. */
  readonly table: TableForm | undefined;
}

/** Carries out each verb on Leases: it turns a request that was let in into its answer. Watches are in `watch-stream.ts`. */
export class LeaseApi {
  readonly #store: LeaseStore;
  readonly #access: AccessControl;
  readonly #namespaces: ReadonlySet<string> | undefined;

  constructor(store: LeaseStore, access: AccessControl, namespaces: readonly string[] | undefined) {
    this.#store = store;
    this.#access = access;
    this.#namespaces = namespaces === undefined ? undefined : new Set(namespaces);
  }

  /** @throws StatusError */
  answer(request: LeaseRequest): Reply {
    switch (request.target.verb) {
      case 'get':
        return leaseReply(request, 200, this.#existing(request.target));
      case 'list':
        return leaseReply(request, 200, listLeases(this.#store, this.#listOptions(request)).list);
      case 'create':
        return this.#create(request);
      case 'update':
        return this.#update(request);
      case 'patch':
        return this.#patch(request);
      case 'delete':
        return this.#delete(request);
      case 'deletecollection':
        return this.#deleteCollection(request);
      case 'watch':
      case undefined:
        throw methodNotAllowed();
    }
  }

  /** The version a read asks to be at least as new as; 0: any will do. */
  wantedRevision({ target, query }: LeaseRequest): number {
    if (target.verb !== 'get' && target.verb !== 'list') return 0;
    return parseResourceVersion(query.get('resourceVersion') ?? '', target.verb) ?? 0;
  }

  #create(request: LeaseRequest): Reply {
    requireJson(request.contentType);
    const options = parseWriteOptions(request.query, request.userAgent, 'CreateOptions');
    const { lease, warnings } = decodeLease(request.body, options.fieldValidation);
    return leaseReply(request, 201, createLease(this.#store, lease, this.#call(request, options)), warnings);
  }

  #update(request: LeaseRequest): Reply {
    const options = parseWriteOptions(request.query, request.userAgent, 'UpdateOptions');
    requireJson(request.contentType);
    const sent = decodeLease(request.body, options.fieldValidation);
    const { lease, created } = replaceLease(
      this.#store,
      request.target.name,
      sent.lease,
      this.#call(request, options),
    );
    return leaseReply(request, created ? 201 : 200, lease, sent.warnings);
  }

  #patch(request: LeaseRequest): Reply {
    const type = asPatchType(request.contentType ?? '');
    if (type === undefined) throw unsupportedMediaType();
    const options = parseWriteOptions(request.query, request.userAgent, 'PatchOptions');
    const existing = this.#existing(request.target);
    const { lease, warnings } = patchLease(existing, request.body, type, options.fieldValidation);
    const stored = storePatched(this.#store, existing, lease, this.#call(request, options));
    return leaseReply(request, 200, stored, warnings);
  }

  #delete(request: LeaseRequest): Reply {
    const options = deleteOptions(request);
    const existing = this.#existing(request.target);
    const left = deleteLease(this.#store, existing, options, isDryRun(options));
    if (left !== undefined) return leaseReply(request, 200, left);
    const { name, uid } = existing.metadata;
    const details = { name, ...RESOURCE, uid };
    return objectReply(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
  }

  #deleteCollection(request: LeaseRequest): Reply {
    const { leases, list } = listLeases(this.#store, this.#listOptions(request));
    const options = deleteOptions(request);
    for (const lease of leases) deleteLease(this.#store, lease, options, isDryRun(options));
    return leaseReply(request, 200, list);
  }

  #listOptions({ query, target }: LeaseRequest): ReturnType<typeof parseListOptions> {
    return parseListOptions(query, target.namespace, false);
  }

  #existing({ namespace, name }: LeaseTarget): StoredLease {
    const lease = this.#store.get(namespace, name);
    if (lease === undefined) throw notFound(name);
    return lease;
  }

  #call({ target, user }: LeaseRequest, { dryRun, manager }: WriteOptions): WriteCall {
    const { namespace, name } = target;
    return {
      namespace,
      manager,
      dryRun,
      requireNamespace: () => {
        if (this.#namespaces?.has(namespace) === false) throw namespaceNotFound(namespace);
      },
      requireCreate: () => {
        this.#access.requireLeaseAccess({ user, verb: 'create', namespace, name });
      },
    };
  }
}

function leaseReply(
  { table }: LeaseRequest,
  status: number,
  object: Tabular,
  warnings: readonly string[] = [],
): Reply {
  return objectReply(status, table === undefined ? object : asTable(object, table, true), warnings);
}

/** They stand in the body or, without one, in the query. */
function deleteOptions({ body, contentType, query }: LeaseRequest): DeleteOptions {
  if (body !== '') return decodeDeleteOptions(body, contentType);
  const given = ['propagationPolicy', 'orphanDependents'].filter((name) => query.has(name));
  const options = given.map((name) => [
    name,
    name === 'orphanDependents' ? isTrue(query.get(name)) : query.get(name),
  ]);
  return { ...(Object.fromEntries(options) as DeleteOptions), dryRun: query.getAll('dryRun') };
}

function isDryRun({ dryRun = [] }: DeleteOptions): boolean {
  return dryRun.includes('All');
}
