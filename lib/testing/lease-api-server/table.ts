/** Leases as the table that `kubectl get` asks for: name, holder, age. */
import { API_VERSION, type LeaseMetadata, type LeaseSpec } from './lease-object.js';
import { failed } from './status.js';

/** What a client wants of a table. */
export interface TableForm {
  readonly version: string;
  /** What stands beside the cells of a row: the Lease, its metadata, or nothing. */
  readonly includeObject: 'Object' | 'Metadata' | 'None';
}

/**
 * The first form of those that the client accepts that is served: a table, or undefined for plain JSON.
 *
 * @throws StatusError 406 when none is served, 400 for a table that cannot be made
 */
export function acceptedForm(accept = '', query: URLSearchParams): TableForm | undefined {
  if (accept.trim() === '') return undefined;
  for (const clause of accept.split(',')) {
    const [type, ...parameters] = clause.split(';').map((part) => part.trim());
    if (type !== 'application/json' && type !== '*/*') continue;
    const {
      as,
      g,
      v = '',
    } = Object.fromEntries(parameters.map((each) => each.split('='))) as Readonly<
      Partial<Record<'as' | 'g' | 'v', string>>
    >;
    if (as === undefined) return undefined;
    if (as === 'Table' && g === 'meta.k8s.io' && ['v1', 'v1beta1'].includes(v))
      return { version: v, includeObject: includedObject(query) };
  }
  throw failed(406, 'Available representations: application/json', {});
}

function includedObject(query: URLSearchParams): TableForm['includeObject'] {
  const asked = query.get('includeObject') ?? '';
  const included = (['Object', 'Metadata', 'None'] as const).find((each) => each === asked);
  if (included === undefined && asked !== '')
    throw failed(400, 'includeObject must be Metadata, Object, None, or empty');
  return included ?? 'Metadata';
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

/** @param withColumns a watch tells them once. */
export function asTable(object: Tabular, form: TableForm, withColumns: boolean): object {
  const isList = 'items' in object;
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${form.version}`,
    metadata: isList ? object.metadata : { resourceVersion: object.metadata.resourceVersion },
    columnDefinitions: withColumns ? columns : null,
    rows: (isList ? object.items : [object]).map((lease) => rowOf(lease, form)),
  };
}

function rowOf({ metadata, spec }: Listed, { version, includeObject }: TableForm): object {
  const cells = [metadata.name ?? '', spec.holderIdentity ?? '', ageOf(metadata.creationTimestamp)];
  // The annotation of a bookmark tells that a watch has sent its initial events, so it is kept.
  const isBookmark = metadata.annotations?.['k8s.io/initial-events-end'] !== undefined;
  if (includeObject === 'None' && !isBookmark) return { cells, object: null };
  if (includeObject === 'Object')
    return { cells, object: { kind: 'Lease', apiVersion: API_VERSION, metadata, spec } };
  const apiVersion = `meta.k8s.io/${version}`;
  return { cells, object: { kind: 'PartialObjectMetadata', apiVersion, metadata } };
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
