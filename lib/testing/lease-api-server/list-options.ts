/** The query of list, watch and delete collection, and what of it is refused. */
import { isTrue } from './api-request.js';
import { goQuote } from './go-quote.js';
import { intComplaint, uintComplaint } from './numbers.js';
import { parseFieldSelector, parseLabelSelector, type Selector } from './selectors.js';
import {
  badRequest,
  forbiddenValue,
  invalid,
  unforeseen,
  unsupportedValue,
  type FieldError,
} from './status.js';

/** What was asked for. */
export interface ListOptions {
  readonly selects: Selector;
  /** Whether anything but the namespace selects: then no count of what remains is given. */
  readonly hasSelector: boolean;
  /** Undefined: none given. 0 means any. */
  readonly resourceVersion: number | undefined;
  readonly resourceVersionMatch: string;
  /** 0: no limit. */
  readonly limit: number;
  readonly continueToken: string;
  readonly allowBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  /** 0: the server's own time. */
  readonly timeoutSeconds: number;
}

/** @throws StatusError */
export function parseListOptions(query: URLSearchParams, namespace: string, isWatch: boolean): ListOptions {
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const sendInitialEvents = query.get('sendInitialEvents');
  const options = {
    selects: (lease: Parameters<Selector>[0]) =>
      (namespace === '' || lease.metadata.namespace === namespace) && fields(lease) && labels(lease),
    hasSelector: (query.get('fieldSelector') ?? '') !== '' || (query.get('labelSelector') ?? '') !== '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
    limit: parseInteger(query, 'limit'),
    continueToken: query.get('continue') ?? '',
    allowBookmarks: isTrue(query.get('allowWatchBookmarks')),
    sendInitialEvents: sendInitialEvents === null ? undefined : isTrue(sendInitialEvents),
    timeoutSeconds: parseInteger(query, 'timeoutSeconds'),
  };
  const text = query.get('resourceVersion') ?? '';
  const errors = isWatch ? watchErrors(options) : listErrors(options, text);
  if (errors.length > 0) throw invalid(LIST_OPTIONS, '', errors);
  return {
    ...options,
    sendInitialEvents:
      isWatch && isFromNow(text) ? (options.sendInitialEvents ?? true) : options.sendInitialEvents,
    resourceVersion: parseResourceVersion(text, isWatch ? 'watch' : 'list'),
  };
}

/** A watch from no version in particular begins with what is there, and with the bookmark that says so. */
function isFromNow(resourceVersion: string): boolean {
  return resourceVersion === '' || resourceVersion === '0';
}

/** @throws StatusError which one depends on the verb */
export function parseResourceVersion(text: string, verb: 'get' | 'list' | 'watch'): number | undefined {
  if (text === '') return undefined;
  const wrong = uintComplaint(text);
  if (wrong === undefined) return Number(text);
  const complaint = `Invalid value: ${goQuote(text)}: ${wrong}`;
  if (verb === 'list') throw badRequest(`invalid resource version: resourceVersion: ${complaint}`);
  throw unforeseen(`resourceVersion: ${complaint}`);
}

function parseInteger(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (text === '') return 0;
  const wrong = intComplaint(text);
  if (wrong !== undefined) throw badRequest(wrong);
  return Number(text);
}

const LIST_OPTIONS = { group: 'meta.k8s.io', kind: 'ListOptions' } as const;

type CheckedOptions = Omit<ListOptions, 'resourceVersion'>;

const MATCHES = ['Exact', 'NotOlderThan'];

function listErrors(options: CheckedOptions, resourceVersion: string): FieldError[] {
  const { resourceVersionMatch: match, continueToken, sendInitialEvents } = options;
  const field = 'resourceVersionMatch';
  const errors: FieldError[] = [];
  if (match !== '') {
    if (resourceVersion === '') {
      errors.push(
        forbiddenValue(field, 'resourceVersionMatch is forbidden unless resourceVersion is provided'),
      );
    }
    if (continueToken !== '') {
      errors.push(forbiddenValue(field, 'resourceVersionMatch is forbidden when continue is provided'));
    }
    if (!MATCHES.includes(match)) errors.push(unsupportedValue(field, goQuote(match), [...MATCHES, '']));
    if (match === 'Exact' && resourceVersion === '0') {
      errors.push(forbiddenValue(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (sendInitialEvents !== undefined) {
    errors.push(forbiddenValue('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return errors;
}

function watchErrors(options: CheckedOptions): FieldError[] {
  const { resourceVersionMatch: match, continueToken, sendInitialEvents } = options;
  const field = 'resourceVersionMatch';
  const errors: FieldError[] = [];
  if (sendInitialEvents !== undefined && match !== 'NotOlderThan') {
    errors.push(
      forbiddenValue(field, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'),
    );
  }
  if (match === '') return errors;
  if (sendInitialEvents === undefined) {
    const rule = 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided';
    errors.push(forbiddenValue(field, rule));
  }
  if (match !== 'NotOlderThan') errors.push(unsupportedValue(field, goQuote(match), ['NotOlderThan']));
  if (continueToken !== '') {
    errors.push(forbiddenValue(field, 'resourceVersionMatch is forbidden when continue is provided'));
  }
  return errors;
}
