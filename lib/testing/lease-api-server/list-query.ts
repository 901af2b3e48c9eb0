/** The query of lists and watches: selectors, versions, pages. What cannot be understood is refused. */
import { isSubdomain } from '../../election/index.js';
import type { LeaseObject } from './lease-object.js';
import { isTrue } from './routes.js';
import { badRequest, invalid, unforeseen, type StatusCause } from './status.js';

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
  const causes = isWatch ? watchCauses(query) : listCauses(query);
  if (causes.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'ListOptions' }, causes);
  return {
    selects: (lease) =>
      (namespace === '' || lease.metadata.namespace === namespace) && fields(lease) && labels(lease),
    hasSelector: text('fieldSelector') !== '' || text('labelSelector') !== '',
    resourceVersion: parseVersion(text('resourceVersion'), isWatch ? unforeseen : badRequest),
    isExact: text('resourceVersionMatch') === 'Exact',
    limit: parseInteger(query, 'limit'),
    continueToken: text('continue'),
    allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: sendInitialEvents === null ? undefined : isTrue(sendInitialEvents),
    timeoutSeconds: parseInteger(query, 'timeoutSeconds'),
  };
}

/** A version as a number; `''` and `0` are none. `refusal` makes the error. */
export function parseVersion(text: string, refusal: (message: string) => Error = unforeseen): number {
  if (/^\d{0,20}$/.test(text)) return Number(text);
  throw refusal(`resourceVersion: Invalid value: it must be a number of at most 20 digits`);
}

function parseInteger(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  const value = /^[+-]?\d{0,20}$/.test(text) ? BigInt(text.replace('+', '')) : undefined;
  if (value !== undefined && BigInt.asIntN(64, value) === value) return Number(value);
  throw badRequest(`${name}: it must be an integer of 64 bits`);
}

const MATCH = 'resourceVersionMatch';

function cause(field: string, reason: 'Forbidden' | 'NotSupported', message: string): StatusCause {
  return { reason: `FieldValue${reason}`, message, field };
}

function listCauses(query: URLSearchParams): StatusCause[] {
  const match = query.get(MATCH) ?? '';
  const version = query.get('resourceVersion') ?? '';
  const causes: StatusCause[] = [];
  if (match !== '' && version === '') causes.push(cause(MATCH, 'Forbidden', 'it needs a resourceVersion'));
  if (match !== '' && (query.get('continue') ?? '') !== '')
    causes.push(cause(MATCH, 'Forbidden', 'it is not allowed together with continue'));
  if (!['', 'Exact', 'NotOlderThan'].includes(match))
    causes.push(cause(MATCH, 'NotSupported', 'supported are Exact and NotOlderThan'));
  if (match === 'Exact' && version === '0')
    causes.push(cause(MATCH, 'Forbidden', 'Exact needs a resourceVersion other than 0'));
  if (query.has('sendInitialEvents'))
    causes.push(cause('sendInitialEvents', 'Forbidden', 'it is for watches only'));
  return causes;
}

function watchCauses(query: URLSearchParams): StatusCause[] {
  const match = query.get(MATCH) ?? '';
  const causes: StatusCause[] = [];
  if (query.has('sendInitialEvents') && match !== 'NotOlderThan')
    causes.push(cause(MATCH, 'Forbidden', 'sendInitialEvents needs NotOlderThan'));
  if (match === '') return causes;
  if (!query.has('sendInitialEvents'))
    causes.push(cause(MATCH, 'Forbidden', 'it needs sendInitialEvents in a watch'));
  if (match !== 'NotOlderThan') causes.push(cause(MATCH, 'NotSupported', 'supported is NotOlderThan'));
  if ((query.get('continue') ?? '') !== '')
    causes.push(cause(MATCH, 'Forbidden', 'it is not allowed together with continue'));
  return causes;
}

function parseFieldSelector(text: string): Selector {
  // At commas, unless they are escaped.
  const terms = text.split(/(?<!\\),/).filter((term) => term !== '');
  const selectors = terms.map((term): Selector => {
    const [, field = '', operator, escaped = ''] = /^(.*?)(!=|==?)(.*)$/s.exec(term) ?? [];
    if (field !== 'metadata.name' && field !== 'metadata.namespace')
      throw badRequest(`fieldSelector: only metadata.name and metadata.namespace are known, not ${term}`);
    const value = escaped.replace(/\\([\\,=])/g, '$1');
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
  if (!isUnderstood) throw badRequest(`labelSelector: unable to parse requirement: ${term}`);
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
