/** Lists of Leases, and the query and selectors that lists and watches share. */
import { API_VERSION, type LeaseObject, type StoredLease } from './lease-object.js';
import { isLabelKey, isLabelValue } from './lease-rules.js';
import { isTrue } from './routes.js';
import { failed, refuseViolations, type Violation } from './status.js';
import type { LeaseStore } from './store.js';

/** What a list or watch asks for. */
export interface ListQuery {
  readonly selects: (lease: LeaseObject) => boolean;
  /** 0: any. */
  readonly resourceVersion: number;
  readonly isExact: boolean;
  readonly allowBookmarks: boolean;
  /** Undefined: only a watch without a version begins with the Leases that exist. */
  readonly sendInitialEvents: boolean | undefined;
  /** 0: the server's own time. */
  readonly timeoutSeconds: number;
}

/** @throws StatusError 400, 422, 500 */
export function parseListQuery(query: URLSearchParams, namespace: string, isWatch: boolean): ListQuery {
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const sendInitialEvents = query.get('sendInitialEvents');
  refuseViolations({ group: 'meta.k8s.io', kind: 'ListOptions' }, [...optionViolations(query, isWatch)]);
  parseInteger(query, 'limit');
  if (query.get('continue')) throw failed(400, 'invalid continue token: this server lists in one page');
  return {
    selects: (lease) =>
      (namespace === '' || lease.metadata.namespace === namespace) && fields(lease) && labels(lease),
    resourceVersion: parseVersion(query.get('resourceVersion'), isWatch ? 500 : 400),
    isExact: query.get('resourceVersionMatch') === 'Exact',
    allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: sendInitialEvents === null ? undefined : isTrue(sendInitialEvents),
    timeoutSeconds: parseInteger(query, 'timeoutSeconds'),
  };
}

/** A version as a number; 0 without one. A text that is not a version is refused with `code`. */
export function parseVersion(text: string | null = '', code = 500): number {
  if (/^\d{0,20}$/.test(text ?? '')) return Number(text);
  throw failed(code, 'resourceVersion must be a number of at most 20 digits');
}

/** @throws StatusError 504, as the API server does when it has waited three seconds for the version */
export function requireReached(store: LeaseStore, version: number): void {
  if (version <= store.revision) return;
  const message = `Too large resource version: ${String(version)}, current: ${String(store.revision)}`;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  throw failed(504, `Timeout: ${message}`, { causes, retryAfterSeconds: 1 });
}

function parseInteger(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (/^-?\d*$/.test(text)) return Number(text);
  throw failed(400, `${name} must be an integer`);
}

/** Which options exclude or need one another. */
function* optionViolations(query: URLSearchParams, isWatch: boolean): Generator<Violation> {
  const field = 'resourceVersionMatch';
  const match = query.get(field) ?? '';
  const hasInitial = query.has('sendInitialEvents');
  const isPossible = isWatch ? hasInitial : query.get('resourceVersion');
  const supported = isWatch ? ['NotOlderThan'] : ['Exact', 'NotOlderThan'];
  if (match !== '') {
    if (!isPossible)
      yield [field, 'Forbidden', `needs ${isWatch ? 'sendInitialEvents' : 'a resourceVersion'}`];
    if (!supported.includes(match)) yield [field, 'NotSupported', `must be ${supported.join(' or ')}`];
  } else if (isWatch && hasInitial) {
    yield [field, 'Forbidden', 'must be NotOlderThan for sendInitialEvents'];
  }
  if (hasInitial && !isWatch) yield ['sendInitialEvents', 'Forbidden', 'is for watches'];
}

function parseFieldSelector(text: string): ListQuery['selects'] {
  const terms = text.split(',').filter((term) => term !== '');
  const selectors = terms.map((term) => {
    const match = /^metadata\.(name|namespace)(!=|==?)(.*)$/s.exec(term);
    if (match === null)
      throw failed(400, `fieldSelector: only metadata.name and metadata.namespace are known, not ${term}`);
    const [, field, operator, value] = match;
    return ({ metadata }: LeaseObject) =>
      (metadata[field as 'name' | 'namespace'] === value) === (operator !== '!=');
  });
  return (lease) => selectors.every((selects) => selects(lease));
}

const LABEL_TERM =
  /^(?<not>!?)\s*(?<key>[^\s=!<>(),]+)\s*(?:(?<compare>==?|!=|<|>)\s*(?<value>[^\s=!<>(),]*)|\s(?<set>in|notin)\s*\((?<values>[^()=!<>]*)\))?$/;

function parseLabelSelector(text: string): ListQuery['selects'] {
  // Splits at commas outside parentheses.
  const terms = text.trim() === '' ? [] : text.split(/,(?![^()]*\))/);
  const selectors = terms.map((term) => parseLabelTerm(term.trim()));
  return ({ metadata: { labels = {} } }) => selectors.every((selects) => selects(labels));
}

function parseLabelTerm(term: string): (labels: Readonly<Record<string, string>>) => boolean {
  const { not, key = '', compare, value = '', set, values = '' } = LABEL_TERM.exec(term)?.groups ?? {};
  const wanted = set === undefined ? [value] : values.split(',').map((each) => each.trim());
  const isPresence = compare === undefined && set === undefined;
  const isOrder = compare === '<' || compare === '>';
  const isUnderstood = isLabelKey(key) && wanted.every(isLabelValue) && (not === '' || isPresence);
  if (!isUnderstood || (isOrder && !/^-?\d+$/.test(value)))
    throw failed(400, `labelSelector: unable to parse requirement: ${term}`);
  return (labels) => {
    const label = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (isPresence) return (label !== undefined) === (not === '');
    if (isOrder) return compare === '<' ? Number(label) < Number(value) : Number(label) > Number(value);
    const isWanted = label !== undefined && wanted.includes(label);
    return isWanted === (compare !== '!=' && set !== 'notin');
  };
}

/** A LeaseList. Its items lack kind and apiVersion, like those of the API server. */
interface LeaseList {
  readonly kind: 'LeaseList';
  readonly apiVersion: typeof API_VERSION;
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly Pick<StoredLease, 'metadata' | 'spec'>[];
}

/**
 * @returns what is listed, as objects and as the answer. A limit has no effect, as the API permits.
 * @throws StatusError 410, 504
 */
export function listLeases(
  store: LeaseStore,
  { selects, resourceVersion, isExact }: ListQuery,
): { readonly leases: readonly StoredLease[]; readonly list: LeaseList } {
  requireReached(store, resourceVersion);
  if (isExact && resourceVersion !== store.revision)
    throw failed(410, 'the version of the list is too old: list without resourceVersion');
  const leases = store.list().filter(selects);
  const items = leases.map(({ metadata, spec }) => ({ metadata, spec }));
  const metadata = { resourceVersion: String(store.revision) };
  return { leases, list: { kind: 'LeaseList', apiVersion: API_VERSION, metadata, items } };
}
