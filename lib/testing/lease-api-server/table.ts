/** Leases as the table that `kubectl get` prints: name, holder, age. */
import { API_VERSION, type LeaseMetadata, type LeaseSpec } from './lease-object.js';
import { failed } from './status.js';

/** What stands beside the cells of a row: the Lease, its metadata, or nothing. */
export type TableForm = 'Object' | 'Metadata' | 'None';

/** `Accept` of a table, in parts: `application/json;as=Table;v=v1;g=meta.k8s.io`. */
const TABLE = ['as=Table', 'v=v1', 'g=meta.k8s.io'];

/**
 * The first form in `Accept` that the server has: a table, or undefined for plain JSON.
 *
 * @throws StatusError 406 if the server has no such form, 400 for an unknown `includeObject`
 */
export function acceptsTable(accept = '*/*', query: URLSearchParams): TableForm | undefined {
  for (const clause of accept.split(',')) {
    const [type = '', ...parameters] = clause.split(';').map((part) => part.trim());
    if (!['application/json', '*/*', ''].includes(type)) continue;
    if (!parameters.some((each) => each.startsWith('as='))) return undefined;
    if (TABLE.every((each) => parameters.includes(each))) return tableForm(query.get('includeObject') ?? '');
  }
  throw failed(406, 'Available representations: application/json', {});
}

function tableForm(asked: string): TableForm {
  if (asked === '') return 'Metadata';
  if (asked === 'Object' || asked === 'Metadata' || asked === 'None') return asked;
  throw failed(400, 'includeObject must be Metadata, Object, None, or empty');
}

interface Listed {
  readonly metadata: LeaseMetadata;
  readonly spec: LeaseSpec;
}

/** One Lease, or a list of them. */
export type Tabular = Listed | { readonly metadata: object; readonly items: readonly Listed[] };

const columns = [
  { name: 'Name', type: 'string', format: 'name', description: 'The name of the Lease.', priority: 0 },
  { name: 'Holder', type: 'string', format: '', description: 'Who holds the Lease.', priority: 0 },
  { name: 'Age', type: 'string', format: '', description: 'Since when the Lease exists.', priority: 0 },
];

/** @param withColumns false for all events of a watch but the first. */
export function asTable(object: Tabular, form: TableForm, withColumns: boolean): object {
  const isList = 'items' in object;
  const rows = (isList ? object.items : [object]).map(({ metadata, spec }) => ({
    cells: [metadata.name ?? '', spec.holderIdentity ?? '', ageOf(metadata.creationTimestamp)],
    object:
      form === 'None'
        ? null
        : form === 'Object'
          ? { kind: 'Lease', apiVersion: API_VERSION, metadata, spec }
          : { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata },
  }));
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: isList ? object.metadata : { resourceVersion: object.metadata.resourceVersion },
    columnDefinitions: withColumns ? columns : null,
    rows,
  };
}

/** As kubectl shows it: 90s, 5m30s, 20m, 5h10m, 20h, 3d. */
function ageOf(creationTimestamp: string | undefined): string {
  if (creationTimestamp === undefined) return '<unknown>';
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(creationTimestamp)) / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const and = (rest: number, unit: string): string => (rest === 0 ? '' : `${String(rest)}${unit}`);
  if (minutes < 2) return `${String(seconds)}s`;
  if (hours < 3) return `${String(minutes)}m${minutes < 10 ? and(seconds % 60, 's') : ''}`;
  if (hours < 48) return `${String(hours)}h${hours < 8 ? and(minutes % 60, 'm') : ''}`;
  return `${String(Math.floor(hours / 24))}d`;
}
