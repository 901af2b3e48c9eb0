/** Leases as the table that `kubectl get` asks for: name, holder, age. */
import { API_VERSION, type LeaseMetadata, type LeaseSpec } from './lease-object.js';
import { badRequest } from './status.js';

/** What a client wants of a table. */
export interface TableForm {
  readonly version: string;
  /** What stands beside the cells of a row: the Lease, its metadata, or nothing. */
  readonly includeObject: 'Object' | 'Metadata' | 'None';
}

/** @throws StatusError 400 */
export function tableForm(version: string, query: URLSearchParams): TableForm {
  const asked = query.get('includeObject') ?? '';
  const includeObject = (['Object', 'Metadata', 'None'] as const).find((each) => each === asked);
  if (includeObject !== undefined || asked === '')
    return { version, includeObject: includeObject ?? 'Metadata' };
  const rule = "must be 'Metadata', 'Object', 'None', or empty";
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(asked)}: ${rule}`,
  );
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
  // The end of a watch's initial events is told by an annotation, so it is kept.
  const isNone =
    includeObject === 'None' && metadata.annotations?.['k8s.io/initial-events-end'] === undefined;
  if (isNone) return { cells, object: null };
  if (includeObject === 'Object')
    return { cells, object: { kind: 'Lease', apiVersion: API_VERSION, metadata, spec } };
  return {
    cells,
    object: { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata },
  };
}

/** As kubectl shows it. */
function ageOf(creationTimestamp: string | undefined): string {
  if (creationTimestamp === undefined) return '<unknown>';
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(creationTimestamp)) / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const and = (rest: number, unit: string): string => (rest === 0 ? '' : `${String(rest)}${unit}`);
  if (minutes < 2) return `${String(seconds)}s`;
  if (minutes < 10) return `${String(minutes)}m${and(seconds % 60, 's')}`;
  if (hours < 3) return `${String(minutes)}m`;
  if (hours < 8) return `${String(hours)}h${and(minutes % 60, 'm')}`;
  return hours < 48 ? `${String(hours)}h` : `${String(Math.floor(hours / 24))}d`;
}
