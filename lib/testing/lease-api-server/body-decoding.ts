/** From the bytes of a request to a Lease, with everything the API server says on the way (400, 415). */
import { goQuote } from './go-quote.js';
import { JsonSyntaxError, parseJson, type JsonNode } from './json-text.js';
import { deleteOptionsShape, leaseShape } from './lease-shape.js';
import { API_VERSION, type LeaseObject } from './lease-object.js';
import { badRequest, invalid, unknownFormat, unsupportedValue } from './status.js';
import { withoutRepeatedOwners } from './owner-references.js';
import { DecodingError, decode, type StructShape } from './typed-decoding.js';
import { TimeSyntaxError } from './wire-time.js';

/** How strictly unknown and repeated fields are taken: the query's `fieldValidation`. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** A Lease as sent, and what to warn about. */
export interface DecodedLease {
  readonly lease: LeaseObject;
  readonly warnings: readonly string[];
}

/** The body of a DELETE. */
export interface DeleteOptions {
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly dryRun?: readonly string[];
}

const NO_TYPE = "couldn't get version/kind; json parse error: ";

/** How many characters of an unreadable body are shown. */
const SUMMARY_BYTES = 30;

/** Where the server's build registered its types; part of a message. */
const SCHEME = 'pkg/api/legacyscheme/scheme.go:30';

/** @throws StatusError 415 unless the body is said to be JSON; to say nothing is to say JSON. */
export function requireJson(contentType: string | undefined): void {
  const [type = '', ...parameters] = (contentType ?? '').split(';').map((part) => part.trim());
  // A parameter without a value is no media type; nothing at all after the last semicolon is.
  const isMediaType = parameters.every(
    (each, index) => /^[^=\s]+=./.test(each) || (each === '' && index === parameters.length - 1),
  );
  if (!isMediaType || (type !== '' && type !== 'application/json')) throw unknownFormat(['application/json']);
}

/** @throws StatusError 400 */
export function decodeLease(body: string, validation: FieldValidation): DecodedLease {
  const node = parseBody(body);
  const { kind, version, registered } = typeOf(node, body);
  const prefix = `${kind} in version ${goQuote(version)} cannot be handled as a Lease: `;
  if (registered !== '') throw badRequest(prefix + registered);
  try {
    const { value, strictErrors } = decode(node, leaseShape);
    if (validation === 'Strict' && strictErrors.length > 0) {
      throw badRequest(`${prefix}strict decoding error: ${strictErrors.join(', ')}`);
    }
    const { lease, warnings } = withoutRepeatedOwners(asLease(value), '');
    return { lease, warnings: [...(validation === 'Warn' ? strictErrors : []), ...warnings] };
  } catch (error) {
    throw isDecodingProblem(error) ? badRequest(prefix + error.message) : error;
  }
}

/** @throws StatusError 400, 415, 422 */
export function decodeDeleteOptions(body: string, contentType: string | undefined): DeleteOptions {
  requireJson(contentType);
  const options = readDeleteOptions(body);
  const { propagationPolicy: policy } = options;
  if (policy === undefined || policies.includes(policy)) return options;
  const error = unsupportedValue('propagationPolicy', goQuote(policy), [...policies, 'nil']);
  throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [error]);
}

const policies: readonly string[] = ['Foreground', 'Background', 'Orphan'];

function readDeleteOptions(body: string): DeleteOptions {
  try {
    return decode(parseJson(body), deleteOptionsShape).value;
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw badRequest(NO_TYPE + error.message);
    throw badRequest(error instanceof Error ? error.message : String(error));
  }
}

/** Whether the error is about what was sent. */
export function isDecodingProblem(error: unknown): error is Error {
  return error instanceof DecodingError || error instanceof TimeSyntaxError;
}

/** A decoded Lease with its type, which clients may leave out. */
export function asLease(value: Readonly<Record<string, unknown>>): LeaseObject {
  // Decoded: every field that is there has the type it must have.
  return { ...(value as unknown as LeaseObject), kind: 'Lease', apiVersion: API_VERSION };
}

function parseBody(body: string): JsonNode {
  try {
    return parseJson(body);
  } catch (error) {
    throw unrecognized(error instanceof Error ? error.message : String(error), body);
  }
}

const typeShape: StructShape = {
  kind: 'struct',
  name: '',
  typeName:
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
  fields: [
    { name: 'apiVersion', shape: { kind: 'string', name: 'string' } },
    { name: 'kind', shape: { kind: 'string', name: 'string' } },
  ],
};

/** The type the body claims to be, and the server's complaint when it is not a Lease of this version. */
function typeOf(node: JsonNode, body: string): { kind: string; version: string; registered: string } {
  let claimed: { apiVersion?: string; kind?: string };
  try {
    claimed = decode(node, typeShape).value;
  } catch (error) {
    throw unrecognized(error instanceof Error ? error.message : String(error), body);
  }
  const kind = claimed.kind ?? 'Lease';
  const apiVersion = claimed.apiVersion ?? API_VERSION;
  const version = apiVersion.split('/').at(-1) ?? '';
  const isServed = kind === 'Lease' && apiVersion === API_VERSION;
  const complaint = `no kind ${goQuote(kind)} is registered for version ${goQuote(apiVersion)} in scheme ${goQuote(SCHEME)}`;
  return { kind, version, registered: isServed ? '' : complaint };
}

function unrecognized(message: string, body: string): Error {
  const complaint = NO_TYPE + message;
  return badRequest(
    `the object provided is unrecognized (must be of type Lease): ${complaint} (${summaryOf(body)})`,
  );
}

function summaryOf(body: string): string {
  if (body === '') return '<empty>';
  const bytes = Buffer.from(body);
  const start = bytes.subarray(0, SUMMARY_BYTES);
  const shown = body.startsWith('{') ? start.toString('utf8') : start.toString('hex');
  return bytes.length > SUMMARY_BYTES ? `${shown} ...` : shown;
}
