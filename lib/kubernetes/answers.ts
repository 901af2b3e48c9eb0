import type { ApiResponse, ApiStream } from './api-connection.js';
import { UnusableObject, apiObject, type ApiObject, type ObjectAddress } from './api-object.js';
import { TOO_LONG_TO_USE, refusal, unusable, type RequestContext } from './request-errors.js';
import { LONGEST_RESPONSE_BYTES } from './transport.js';

/** The address of the object that a request is about. */
export function addressOf({ resource: { kind }, name, namespace }: RequestContext): ObjectAddress {
  return { kind, name, namespace };
}

/**
 * Parses the object that was requested.
 *
 * @throws LeaseRequestError if the response contains no object, or a different one.
 */
export function objectIn(response: ApiResponse, context: RequestContext): ApiObject {
  return reading(context, () => apiObject(jsonIn(response, context), addressOf(context)));
}

/** Parses a response as JSON. @throws LeaseRequestError */
export function jsonIn(response: ApiResponse, context: RequestContext): unknown {
  try {
    return JSON.parse(response.text);
  } catch {
    // A proxy's page, for example. The parser's message quotes it, so the message is not passed on.
    throw refusal(response, context);
  }
}

/** Calls `read` and returns its result. @throws LeaseRequestError for an {@link UnusableObject}. */
export function reading<T>(context: RequestContext, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnusableObject) throw unusable(error.message, context);
    throw error;
  }
}

/** Checks that a transport returned a response, because users may provide the transport. @throws LeaseRequestError */
export function checkedResponse(answer: unknown, context: RequestContext): ApiResponse {
  const { status, headers, text } = partsOf(answer);
  if (!Number.isInteger(status) || !isObject(headers) || typeof text !== 'string')
    throw unusable('the transport did not return { status: number, headers: object, text: string }', context);
  if (text.length > LONGEST_RESPONSE_BYTES) throw unusable(TOO_LONG_TO_USE, context);
  return answer as ApiResponse;
}

/** Like {@link checkedResponse}, for a stream. */
export function checkedStream(answer: unknown, context: RequestContext): ApiStream {
  const { headers, [Symbol.asyncIterator]: iterate } = partsOf(answer);
  if (!isObject(headers) || typeof iterate !== 'function')
    throw unusable('the transport did not return an async iterable with headers', context);
  return answer as ApiStream;
}

function partsOf(answer: unknown): Readonly<Record<string | symbol, unknown>> {
  return isObject(answer) ? (answer as Readonly<Record<string | symbol, unknown>>) : {};
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
