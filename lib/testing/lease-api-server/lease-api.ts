import type { IncomingHttpHeaders } from 'node:http';
import type { AccessControl, RequestUser } from './access.js';
import type { StoredLease } from './lease-object.js';
import {
  WrongTypeError,
  readBody,
  readDeleteOptions,
  readLease,
  type DeleteOptions,
} from './lease-reader.js';
import { createLease, deleteLease, replaceLease, updateLease, type WriteCall } from './lease-writes.js';
import { listLeases } from './list.js';
import { parseListQuery, parseVersion, type ListQuery } from './list-query.js';
import { applyPatch } from './patches.js';
import { isTrue, type LeaseTarget } from './routes.js';
import {
  RESOURCE,
  badRequest,
  invalid,
  methodNotAllowed,
  notFound,
  objectReply,
  type Reply,
  type StatusCause,
} from './status.js';
import type { LeaseStore } from './store.js';
import { asTable, type TableForm, type Tabular } from './table.js';

/** A whole request for Leases. */
export interface LeaseRequest extends RequestUser {
  readonly target: LeaseTarget;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The form of the table that is asked for instead of the object. */
  readonly table: TableForm | undefined;
}

/** Carries out each verb on Leases, except watches: it turns a request that was let in into its answer. */
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
        return leaseReply(request, 200, listLeases(this.#store, listQuery(request)).list);
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

  /** The version a read asks to be at least as new as; 0: any. */
  wantedRevision({ target, query }: LeaseRequest): number {
    if (target.verb !== 'get' && target.verb !== 'list') return 0;
    return parseVersion(query.get('resourceVersion') ?? '', target.verb === 'list' ? badRequest : undefined);
  }

  #create(request: LeaseRequest): Reply {
    const call = this.#call(request, 'CreateOptions');
    const { lease, warnings } = leaseIn(request);
    return leaseReply(request, 201, createLease(this.#store, lease, call), warnings);
  }

  #update(request: LeaseRequest): Reply {
    const call = this.#call(request, 'UpdateOptions');
    const sent = leaseIn(request);
    const { lease, isNew } = replaceLease(this.#store, request.target.name, sent.lease, call);
    return leaseReply(request, isNew ? 201 : 200, lease, sent.warnings);
  }

  #patch(request: LeaseRequest): Reply {
    const { target, body, headers } = request;
    const call = this.#call(request, 'PatchOptions');
    const existing = this.#existing(target);
    const patched = applyPatch(existing, body, headers['content-type'] ?? '');
    const refusal = (message: string): Error =>
      invalid({}, [{ reason: 'FieldValueInvalid', message, field: 'patch' }]);
    try {
      const { lease, warnings } = checked(request, readLease(patched), refusal);
      return leaseReply(request, 200, updateLease(this.#store, existing, lease, call), warnings);
    } catch (error) {
      throw error instanceof WrongTypeError ? refusal(error.message) : error;
    }
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
    const { leases, list } = listLeases(this.#store, listQuery(request));
    const options = deleteOptions(request);
    for (const lease of leases) deleteLease(this.#store, lease, options, isDryRun(options));
    return leaseReply(request, 200, list);
  }

  #existing({ namespace, name }: LeaseTarget): StoredLease {
    const lease = this.#store.get(namespace, name);
    if (lease === undefined) throw notFound({ name, ...RESOURCE });
    return lease;
  }

  /** @param kind of the options that the query holds; an error names it. */
  #call({ target, user, query, headers }: LeaseRequest, kind: string): WriteCall {
    requireWriteOptions(query, kind);
    const { verb, namespace, name } = target;
    const [product = ''] = (headers['user-agent'] ?? '').split('/');
    return {
      namespace,
      // `||`: an empty text is none.
      manager: query.get('fieldManager') || product || 'unknown',
      dryRun: query.get('dryRun') === 'All',
      requireCreatable: () => {
        if (this.#namespaces?.has(namespace) === false)
          throw notFound({ name: namespace, kind: 'namespaces' });
        if (verb === 'update') this.#access.requireLeaseAccess({ user, verb: 'create', namespace, name });
      },
    };
  }
}

const MAX_MANAGER_BYTES = 128;
const validations: readonly string[] = ['', 'Ignore', 'Strict', 'Warn'];
const policies: readonly string[] = ['Foreground', 'Background', 'Orphan'];

function requireWriteOptions(query: URLSearchParams, kind: string): void {
  const causes: StatusCause[] = [];
  const refuse = (field: string, reason: string, message: string): void => {
    causes.push({ reason, message, field });
  };
  if (Buffer.byteLength(query.get('fieldManager') ?? '') > MAX_MANAGER_BYTES)
    refuse('fieldManager', 'FieldValueTooLong', `may not be more than ${String(MAX_MANAGER_BYTES)} bytes`);
  if (!query.getAll('dryRun').every((value) => value === '' || value === 'All'))
    refuse('dryRun', 'FieldValueNotSupported', 'the only supported value is All');
  if (!validations.includes(query.get('fieldValidation') ?? ''))
    refuse('fieldValidation', 'FieldValueNotSupported', 'supported values: Ignore, Strict, Warn');
  if (causes.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, causes);
}

interface CheckedLease {
  readonly lease: ReturnType<typeof readLease>['lease'];
  readonly warnings: readonly string[];
}

/** The Lease in the body of POST and PUT. */
function leaseIn(request: LeaseRequest): CheckedLease {
  const read = readBody(request.body, request.headers['content-type'], readLease);
  return checked(request, read, badRequest);
}

/** Fields that are not known are refused, warned of or ignored, as the query wants. */
function checked(
  { query }: LeaseRequest,
  { lease, unknownFields }: ReturnType<typeof readLease>,
  refusal: (message: string) => Error,
): CheckedLease {
  const validation = query.get('fieldValidation');
  const complaints = unknownFields.map((field) => `unknown field "${field}"`);
  if (validation === 'Strict' && complaints.length > 0) throw refusal(complaints.join(', '));
  return { lease, warnings: validation === 'Ignore' ? [] : complaints };
}

/** They are in the body or, without one, in the query. */
function deleteOptions({ body, headers, query }: LeaseRequest): DeleteOptions {
  const policy = query.get('propagationPolicy');
  const orphans = query.get('orphanDependents');
  const options: DeleteOptions =
    body === ''
      ? {
          ...(policy !== null && { propagationPolicy: policy }),
          ...(orphans !== null && { orphanDependents: isTrue(orphans) }),
          dryRun: query.getAll('dryRun'),
        }
      : readBody(body, headers['content-type'], readDeleteOptions);
  const { propagationPolicy } = options;
  if (propagationPolicy === undefined || policies.includes(propagationPolicy)) return options;
  const message = `supported values: ${policies.join(', ')}`;
  const cause = { reason: 'FieldValueNotSupported', message, field: 'propagationPolicy' };
  throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, [cause]);
}

function isDryRun({ dryRun = [] }: DeleteOptions): boolean {
  return dryRun.includes('All');
}

function listQuery({ query, target }: LeaseRequest): ListQuery {
  return parseListQuery(query, target.namespace, false);
}

function leaseReply(
  { table }: LeaseRequest,
  status: number,
  object: Tabular,
  warnings: readonly string[] = [],
): Reply {
  return objectReply(status, table === undefined ? object : asTable(object, table, true), warnings);
}
