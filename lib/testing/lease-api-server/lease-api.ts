import type { IncomingHttpHeaders } from 'node:http';
import type { AccessControl, RequestUser } from './access.js';
import type { LeaseObject, StoredLease } from './lease-object.js';
import {
  WrongTypeError,
  readDeleteOptions,
  readJson,
  readLease,
  type DeleteOptions,
} from './lease-reader.js';
import {
  createLease,
  deleteLease,
  replaceLease,
  requireSameObject,
  updateLease,
  type WriteCall,
} from './lease-writes.js';
import { listLeases, parseListQuery, parseVersion } from './lists.js';
import { applyPatch, requirePatchType, type PatchType } from './patches.js';
import type { LeaseTarget } from './routes.js';
import { GROUP, RESOURCE, failed, objectReply, requireRules, type Reply } from './status.js';
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
        return leaseReply(request, 200, this.#list(request).list);
      case 'create': {
        const call = this.#call(request, 'CreateOptions');
        const { lease, warnings } = leaseIn(request);
        return leaseReply(request, 201, createLease(this.#store, lease, call), warnings);
      }
      case 'update': {
        const call = this.#call(request, 'UpdateOptions');
        const { lease: sent, warnings } = leaseIn(request);
        const { lease, isNew } = replaceLease(this.#store, request.target.name, sent, call);
        return leaseReply(request, isNew ? 201 : 200, lease, warnings);
      }
      case 'patch': {
        const type = requirePatchType(request.headers['content-type']);
        const call = this.#call(request, 'PatchOptions');
        const existing = this.#existing(request.target);
        const { lease, warnings } = patchedBy(request, type, existing);
        requireSameObject(lease, existing.metadata.namespace, existing.metadata.name);
        return leaseReply(request, 200, updateLease(this.#store, existing, lease, call), warnings);
      }
      case 'delete':
        return this.#delete(request);
      case 'deletecollection': {
        const { leases, list } = this.#list(request);
        const options = deleteOptions(request);
        for (const lease of leases) deleteLease(this.#store, lease, options);
        return leaseReply(request, 200, list);
      }
      case 'watch':
      case undefined:
        throw failed(405, 'this method is not served here', {});
    }
  }

  /** The version that a read wants to be reached; 0: any. */
  wantedRevision({ target, query }: LeaseRequest): number {
    if (target.verb !== 'get' && target.verb !== 'list') return 0;
    return parseVersion(query.get('resourceVersion') ?? '', target.verb === 'list' ? 400 : 500);
  }

  #list({ query, target }: LeaseRequest): ReturnType<typeof listLeases> {
    return listLeases(this.#store, parseListQuery(query, target.namespace, false));
  }

  #delete(request: LeaseRequest): Reply {
    const options = deleteOptions(request);
    const existing = this.#existing(request.target);
    const left = deleteLease(this.#store, existing, options);
    if (left !== undefined) return leaseReply(request, 200, left);
    const { name, uid } = existing.metadata;
    const details = { name, ...RESOURCE, uid };
    return objectReply(200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details });
  }

  #existing({ namespace, name }: LeaseTarget): StoredLease {
    const lease = this.#store.get(namespace, name);
    if (lease === undefined) throw failed(404, `leases.${GROUP} "${name}" not found`, { name, ...RESOURCE });
    return lease;
  }

  #call({ target, user, query, headers }: LeaseRequest, kind: string): WriteCall {
    const { verb, namespace, name } = target;
    requireWriteOptions(query, kind);
    const manager = query.get('fieldManager') ?? '';
    const product = headers['user-agent']?.split('/')[0] ?? '';
    return {
      namespace,
      manager: [manager, product, 'unknown'].find((each) => each !== '') ?? '',
      dryRun: query.get('dryRun') === 'All',
      requireCreatable: () => {
        if (this.#namespaces?.has(namespace) === false)
          throw failed(404, `namespace "${namespace}" not found`, { name: namespace, kind: 'namespaces' });
        if (verb === 'update') this.#access.requireLeaseAccess({ user, verb: 'create', namespace, name });
      },
    };
  }
}

const validations: readonly string[] = ['', 'Ignore', 'Strict', 'Warn'];
const policies: readonly string[] = ['', 'Foreground', 'Background', 'Orphan'];

/** @param kind the type of the options, which an error names. */
function requireWriteOptions(query: URLSearchParams, kind: string): void {
  const isDryRun = query.getAll('dryRun').every((value) => value === '' || value === 'All');
  const isValidation = validations.includes(query.get('fieldValidation') ?? '');
  requireRules({ group: 'meta.k8s.io', kind }, [
    [isDryRun, 'dryRun', 'NotSupported', 'must be All'],
    [isValidation, 'fieldValidation', 'NotSupported', 'must be Ignore, Strict or Warn'],
  ]);
}

interface CheckedLease {
  readonly lease: LeaseObject;
  readonly warnings: readonly string[];
}

/** The Lease in the body of POST and PUT. */
function leaseIn({ body, headers, query }: LeaseRequest): CheckedLease {
  return checked(query, readJson(body, headers['content-type'], readLease), (message) => {
    throw failed(400, message);
  });
}

/** What the patch in the body makes of a Lease. */
function patchedBy({ body, query }: LeaseRequest, type: PatchType, existing: StoredLease): CheckedLease {
  const refuse = (message: string): void => {
    requireRules({}, [[false, 'patch', 'Invalid', message]]);
  };
  const patched = applyPatch(existing, body, type);
  try {
    return checked(query, readLease(patched), refuse);
  } catch (error) {
    if (error instanceof WrongTypeError) refuse(error.message);
    throw error;
  }
}

/** Fields that are not known are refused, warned of or ignored, as the query wants. */
function checked(
  query: URLSearchParams,
  { lease, unknownFields }: ReturnType<typeof readLease>,
  refuse: (message: string) => void,
): CheckedLease {
  const validation = query.get('fieldValidation');
  const warnings = unknownFields.map((field) => `unknown field "${field}"`);
  if (validation === 'Strict' && warnings.length > 0) refuse(warnings.join(', '));
  return { lease, warnings: validation === 'Ignore' ? [] : warnings };
}

/** They are in the body or, without one, in the query. */
function deleteOptions({ body, headers, query }: LeaseRequest): DeleteOptions {
  const inQuery = { propagationPolicy: query.get('propagationPolicy') ?? '', dryRun: query.getAll('dryRun') };
  const options = body === '' ? inQuery : readJson(body, headers['content-type'], readDeleteOptions);
  const isPolicy = policies.includes(options.propagationPolicy ?? '');
  requireRules({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, [
    [isPolicy, 'propagationPolicy', 'NotSupported', 'must be Foreground, Background or Orphan'],
  ]);
  return options;
}

function leaseReply(
  { table }: LeaseRequest,
  status: number,
  object: Tabular,
  warnings: readonly string[] = [],
): Reply {
  return objectReply(status, table === undefined ? object : asTable(object, table, true), warnings);
}
