/** The answers of a server that is told to fail, as the real one gives them. */
import type { FaultAnswer, FaultSubject } from './faults.js';
import { ANONYMOUS } from './access.js';
import { errorReply, textReply, type Reply } from './reply.js';
import { RESOURCE, conflict, expired, failed, forbidden, unauthorized } from './status.js';

/** What is answered in place of the right answer. */
export function faultReply({ answer, retryAfterSeconds }: FaultAnswer, subject: FaultSubject): Reply {
  const byDefault = answer === 429 || answer === 503 ? 1 : undefined;
  const seconds = retryAfterSeconds ?? byDefault;
  const reply = plainReply(answer, subject);
  if (seconds === undefined) return reply;
  return { ...reply, headers: { ...reply.headers, 'Retry-After': String(seconds) } };
}

function plainReply(answer: FaultAnswer['answer'], { name, user, verb, namespace }: FaultSubject): Reply {
  switch (answer) {
    case 401:
      return errorReply(unauthorized());
    case 403: {
      const who = user === '' ? ANONYMOUS : user;
      const what = `cannot ${verb ?? 'get'} resource "leases" in API group "coordination.k8s.io"`;
      const details = name === '' ? RESOURCE : { name, ...RESOURCE };
      return errorReply(forbidden(details, name, `User "${who}" ${what} in the namespace "${namespace}"`));
    }
    case 409:
      return errorReply(
        conflict(
          name,
          'the object has been modified; please apply your changes to the latest version and try again',
        ),
      );
    case 410:
      return errorReply(expired('too old resource version: 1 (2)'));
    case 429:
      return textReply(429, 'Too many requests, please try again later.\n');
    case 500:
      return errorReply(
        failed(500, 'InternalError', 'Internal error occurred: etcdserver: request timed out'),
      );
    case 503:
      return errorReply(failed(503, 'ServiceUnavailable', 'apiserver is shutting down'));
    case 504:
      return errorReply(
        failed(
          504,
          'Timeout',
          'Timeout: request did not complete within requested timeout - context deadline exceeded',
        ),
      );
  }
}
