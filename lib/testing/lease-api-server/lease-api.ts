import type { IncomingHttpHeaders } from 'node:http';
import type { AccessControl, Subject } from './access.js';
import type { LeaseObject, StoredLease } from './lease-object.js';
import {
  UnreadableError,
  readBody,
  readDeleteOptions,
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
import { listLeases, parseListQuery, parseVersion, requireReached } from './lists.js';
import { applyPatch, requirePatchType } from './patches.js';
import { GROUP, RESOURCE, failed, objectReply, refuseViolations, type Reply } from './status.js';
import type { LeaseStore } from './store.js';
import { acceptsTable, asTable, type TableForm, type Tabular } from './table.js';

/** A whole request for Leases. */
export interface LeaseRequest extends Subject {
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Carries out each verb on Leases, except watch. The request is already authorized. */
export class LeaseApi {
  /** @param namespaces those that exist; undefined: all. */
  constructor(
    private readonly store: LeaseStore,
    private readonly access: AccessControl,
    private readonly namespaces: readonly string[] | undefined,
  ) {}

  /** @throws StatusError */
  answer(request: LeaseRequest): Reply {
    const { verb, namespace, name, query, headers, body } = request;
    const table = acceptsTable(headers.accept, query);
    switch (verb) {
      case 'get':
        requireReached(this.store, parseVersion(query.get('resourceVersion')));
        return leaseReply(table, 200, this.#existing(request));
      case 'list':
        return leaseReply(table, 200, this.#list(request).list);
      case 'create': {
        const call = this.#call(request, 'CreateOptions');
        return leaseReply(table, 201, createLease(this.store, sentLease(request), call));
      }
      case 'update': {
        const call = this.#call(request, 'UpdateOptions');
        const { lease, isNew } = replaceLease(this.store, name, sentLease(request), call);
        return leaseReply(table, isNew ? 201 : 200, lease);
      }
      case 'patch': {
        const type = requirePatchType(headers['content-type']);
        const call = this.#call(request, 'PatchOptions');
        const existing = this.#existing(request);
        const lease = patchedLease(applyPatch(existing, body, type), query);
        requireSameObject(lease, namespace, name);
        return leaseReply(table, 200, updateLease(this.store, existing, lease, call));
      }
      case 'delete': {
        const options = deleteOptions(request);
        const existing = this.#existing(request);
        const left = deleteLease(this.store, existing, options);
        if (left !== undefined) return leaseReply(table, 200, left);
        const details = { name, ...RESOURCE, uid: existing.metadata.uid };
        const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
        return objectReply(200, success);
      }
      case 'deletecollection': {
        const { leases, list } = this.#list(request);
        const options = deleteOptions(request);
        for (const lease of leases) deleteLease(this.store, lease, options);
        return leaseReply(table, 200, list);
      }
      case 'watch':
      case undefined:
        throw failed(405, 'the server does not allow this method on the requested resource', {});
    }
  }

  #list({ query, namespace }: LeaseRequest): ReturnType<typeof listLeases> {
    return listLeases(this.store, parseListQuery(query, namespace, false));
  }

  #existing({ namespace, name }: LeaseRequest): StoredLease {
    const lease = this.store.get(namespace, name);
    if (lease === undefined) throw failed(404, `leases.${GROUP} "${name}" not found`, { name, ...RESOURCE });
    return lease;
  }

  /** @param kind the type of the options, which an error names. */
  #call({ user, verb, namespace, name, query, headers }: LeaseRequest, kind: string): WriteCall {
    const [dryRun, validation] = [query.get('dryRun') ?? '', query.get('fieldValidation') ?? ''];
    const about = { group: 'meta.k8s.io', kind };
    if (!['', 'All'].includes(dryRun)) refuseViolations(about, [['dryRun', 'NotSupported', 'must be All']]);
    if (!['', 'Ignore', 'Warn', 'Strict'].includes(validation))
      refuseViolations(about, [['fieldValidation', 'NotSupported', 'must be Ignore, Warn or Strict']]);
    return {
      namespace,
      // As on the API server: the default is the program of `User-Agent: program/version`.
      manager: query.get('fieldManager') ?? headers['user-agent']?.split('/')[0] ?? 'unknown',
      dryRun: dryRun === 'All',
      requireCreatable: () => {
        if (this.namespaces?.includes(namespace) === false)
          throw failed(404, `namespace "${namespace}" not found`, { name: namespace, kind: 'namespaces' });
        if (verb === 'update') this.access.authorize({ user, verb: 'create', namespace, name });
      },
    };
  }
}

function isStrict(query: URLSearchParams): boolean {
  return query.get('fieldValidation') === 'Strict';
}

/** The Lease in the body of POST and PUT. */
function sentLease({ body, headers, query }: LeaseRequest): LeaseObject {
  return readBody(body, headers['content-type'], (value) => readLease(value, isStrict(query)));
}

/** The Lease that a patch has made. */
function patchedLease(value: unknown, query: URLSearchParams): LeaseObject {
  try {
    return readLease(value, isStrict(query));
  } catch (error) {
    if (error instanceof UnreadableError) refuseViolations({}, [['patch', 'Invalid', error.message]]);
    throw error;
  }
}

/** Options of a DELETE, from the body or, without a body, from the query. The policy has no effect: no object depends on a Lease. */
function deleteOptions({ body, headers, query }: LeaseRequest): DeleteOptions {
  const inQuery = { propagationPolicy: query.get('propagationPolicy') ?? '', dryRun: query.getAll('dryRun') };
  const options = body === '' ? inQuery : readBody(body, headers['content-type'], readDeleteOptions);
  const policies = ['', 'Foreground', 'Background', 'Orphan'];
  if (!policies.includes(options.propagationPolicy ?? ''))
    refuseViolations({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, [
      ['propagationPolicy', 'NotSupported', 'must be Foreground, Background or Orphan'],
    ]);
  return options;
}

function leaseReply(table: TableForm | undefined, status: number, object: Tabular): Reply {
  return objectReply(status, table === undefined ? object : asTable(object, table, true));
}
