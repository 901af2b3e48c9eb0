/** Lists of Leases: their query, which watches share, and their pages. What cannot be understood is refused. */
import { isSubdomain } from '../../election/index.js';
import { API_VERSION, type LeaseObject, type StoredLease } from './lease-object.js';
import { isObject } from './lease-reader.js';
import { isTrue } from './routes.js';
import { failed, requireRules, type Rule } from './status.js';
import type { LeaseStore } from './store.js';

/** What a list or watch asks for. */
export interface ListQuery {
  readonly selects: Selector;
  /** Whether anything but the namespace selects: then what remains is not counted. */
  readonly hasSelector: boolean;
  /** 0: any. */
  readonly resourceVersion: number;
  readonly isExact: boolean;
  /** 0: no limit. */
  readonly limit: number;
  /** `''`: the first page. */
  readonly continueToken: string;
  readonly allowBookmarks: boolean;
  /** Undefined: a watch without a version has them, and no other. */
  readonly sendInitialEvents: boolean | undefined;
  /** 0: the server's own time. */
  readonly timeoutSeconds: number;
}

/** Whether a Lease is selected. */
type Selector = (lease: LeaseObject) => boolean;

/** @throws StatusError 400, 422, 500 */
export function parseListQuery(query: URLSearchParams, namespace: string, isWatch: boolean): ListQuery {
  const text = (name: string): string => query.get(name) ?? '';
  const fields = parseFieldSelector(text('fieldSelector'));
  const labels = parseLabelSelector(text('labelSelector'));
  const sendInitialEvents = query.get('sendInitialEvents');
  requireRules({ group: 'meta.k8s.io', kind: 'ListOptions' }, optionRules(query, isWatch));
  return {
    selects: (lease) =>
      (namespace === '' || lease.metadata.namespace === namespace) && fields(lease) && labels(lease),
    hasSelector: text('fieldSelector') !== '' || text('labelSelector') !== '',
    resourceVersion: parseVersion(text('resourceVersion'), isWatch ? 500 : 400),
    isExact: text('resourceVersionMatch') === 'Exact',
    limit: parseInteger(query, 'limit'),
    continueToken: text('continue'),
    allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: sendInitialEvents === null ? undefined : isTrue(sendInitialEvents),
    timeoutSeconds: parseInteger(query, 'timeoutSeconds'),
  };
}

/** A version as a number; `''` and `0` are none. `code` is that of the refusal. */
export function parseVersion(text: string, code = 500): number {
  if (/^\d{0,20}$/.test(text)) return Number(text);
  throw failed(code, 'resourceVersion must be a number of at most 20 digits');
}

function parseInteger(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  const value = /^[+-]?\d{0,20}$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
  if (value !== undefined && BigInt.asIntN(64, value) === value) return Number(value);
  throw failed(400, `${name} must be an integer of 64 bits`);
}

/** Which options exclude or need one another. */
function optionRules(query: URLSearchParams, isWatch: boolean): Rule[] {
  const text = (name: string): string => query.get(name) ?? '';
  const field = 'resourceVersionMatch';
  const match = text(field);
  const isGiven = match !== '';
  const hasInitial = query.has('sendInitialEvents');
  const supported = isWatch ? ['NotOlderThan'] : ['Exact', 'NotOlderThan'];
  const isSupported = !isGiven || supported.includes(match);
  const isPossible = match !== 'Exact' || text('resourceVersion') !== '0';
  const hasPartner = isWatch ? hasInitial : text('resourceVersion') !== '';
  const partner = isWatch ? 'sendInitialEvents' : 'resourceVersion';
  const mayHaveInitial = !isWatch || !hasInitial || match === 'NotOlderThan';
  return [
    [!isGiven || hasPartner, field, 'Forbidden', `needs ${partner}`],
    [!isGiven || text('continue') === '', field, 'Forbidden', 'is not allowed together with continue'],
    [isSupported, field, 'NotSupported', `must be ${supported.join(' or ')}`],
    [isPossible, field, 'Forbidden', 'Exact needs a resourceVersion other than 0'],
    [mayHaveInitial, field, 'Forbidden', 'must be NotOlderThan for sendInitialEvents'],
    [isWatch || !hasInitial, 'sendInitialEvents', 'Forbidden', 'is for watches'],
  ];
}

function parseFieldSelector(text: string): Selector {
  const terms = text.split(',').filter((term) => term !== '');
  const selectors = terms.map((term): Selector => {
    const [, field = '', operator, value] = /^(.*?)(!=|==?)(.*)$/s.exec(term) ?? [];
    if (field !== 'metadata.name' && field !== 'metadata.namespace')
      throw failed(400, `fieldSelector: only metadata.name and metadata.namespace are known, not ${term}`);
    const name = field === 'metadata.name' ? 'name' : 'namespace';
    return (lease) => (lease.metadata[name] === value) === (operator !== '!=');
  });
  return (lease) => selectors.every((selects) => selects(lease));
}

const HAS_LABEL = /^(!?)\s*([^\s=!<>(),]+)$/;
const COMPARES_LABEL = /^([^\s=!<>(),]+)\s*(=|==|!=|<|>)\s*([^\s=!<>(),]*)$/;
const LABEL_IN_SET = /^([^\s=!<>(),]+)\s+(in|notin)\s*\(([^()=!<>]*)\)$/;

function parseLabelSelector(text: string): Selector {
  // At commas that are not within parentheses.
  const terms = text.trim() === '' ? [] : text.split(/,(?![^()]*\))/);
  const selectors = terms.map((term) => parseLabelTerm(term.trim()));
  return ({ metadata: { labels = {} } }) => selectors.every((selects) => selects(labels));
}

function parseLabelTerm(term: string): (labels: Readonly<Record<string, string>>) => boolean {
  const [, not, present = ''] = HAS_LABEL.exec(term) ?? [];
  if (not !== undefined && isLabelKey(present))
    return (labels) => Object.hasOwn(labels, present) !== (not === '!');
  const [, key = '', operator = '', operand = ''] =
    COMPARES_LABEL.exec(term) ?? LABEL_IN_SET.exec(term) ?? [];
  const values = operator.endsWith('in') ? operand.split(',').map((value) => value.trim()) : [operand];
  const isOrder = operator === '<' || operator === '>';
  const isUnderstood = isLabelKey(key) && values.every(isLabelValue) && (!isOrder || /^-?\d+$/.test(operand));
  if (!isUnderstood) throw failed(400, `labelSelector: unable to parse requirement: ${term}`);
  return (labels) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (operator === '<') return Number(value) < Number(operand);
    if (operator === '>') return Number(value) > Number(operand);
    const isOneOfThem = value !== undefined && values.includes(value);
    return isOneOfThem !== (operator === '!=' || operator === 'notin');
  };
}

const LABEL_NAME = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)$/;
const MAX_LABEL_LENGTH = 63;

/** Whether it may be the key of a label or an annotation, or the name of a finalizer. */
export function isLabelKey(key: string): boolean {
  const [name = '', prefix, ...more] = key.split('/').reverse();
  const isName = name.length <= MAX_LABEL_LENGTH && LABEL_NAME.test(name);
  return isName && (prefix === undefined || isSubdomain(prefix)) && more.length === 0;
}

export function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= MAX_LABEL_LENGTH && LABEL_NAME.test(value));
}

/** A LeaseList. Its items lack kind and apiVersion, as those of the API server do. */
interface LeaseList {
  readonly kind: 'LeaseList';
  readonly apiVersion: typeof API_VERSION;
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly Pick<StoredLease, 'metadata' | 'spec'>[];
}

/** Where the next page begins, and at which version. It is in the continue token. */
interface Continuation {
  readonly v: typeof TOKEN_VERSION;
  readonly rv: number;
  readonly start: string;
}

const TOKEN_VERSION = 'meta.k8s.io/v1';

/**
 * @returns what is listed, as objects and as the answer.
 * @throws StatusError 400, 410
 */
export function listLeases(
  store: LeaseStore,
  query: ListQuery,
): { readonly leases: readonly StoredLease[]; readonly list: LeaseList } {
  const from = query.continueToken === '' ? undefined : parseToken(query.continueToken);
  const revision = from?.rv ?? (query.isExact ? query.resourceVersion : store.revision);
  if (revision < store.oldestRevision)
    throw failed(
      410,
      'the version of the list is too old: start a new list without continue and resourceVersion',
    );
  const all = revision === store.revision ? store.list() : store.listAt(revision);
  const rest = all.filter((lease) => query.selects(lease) && positionOf(lease) >= (from?.start ?? ''));
  const leases = query.limit > 0 ? rest.slice(0, query.limit) : rest;
  const next = rest[leases.length];
  const metadata = {
    resourceVersion: String(revision),
    ...(next !== undefined && {
      continue: tokenOf({ v: TOKEN_VERSION, rv: revision, start: positionOf(next) }),
    }),
    ...(next !== undefined && !query.hasSelector && { remainingItemCount: rest.length - leases.length }),
  };
  const items = leases.map((lease) => ({ metadata: lease.metadata, spec: lease.spec }));
  return { leases, list: { kind: 'LeaseList', apiVersion: API_VERSION, metadata, items } };
}

function positionOf({ metadata }: StoredLease): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function tokenOf(continuation: Continuation): string {
  return Buffer.from(JSON.stringify(continuation)).toString('base64url');
}

function parseToken(token: string): Continuation {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    const { v, rv, start } = isObject(value) ? value : {};
    if (v === TOKEN_VERSION && typeof rv === 'number' && typeof start === 'string') return { v, rv, start };
  } catch {
    // Answered below.
  }
  throw failed(400, 'invalid continue token');
}
