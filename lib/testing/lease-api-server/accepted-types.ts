/** Whether the client takes JSON. */
import { notAcceptable } from './status.js';

const served = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

/** @throws StatusError 406 unless JSON, plain, is among what the client accepts */
export function requireJsonAccepted(accept: string | undefined): void {
  if (accept === undefined || accept.trim() === '') return;
  const types = accept.split(',').map((each) => each.trim());
  // A table or a part of the metadata is not served; who asks for it usually takes the plain object, too.
  const plain = types.filter((type) => !/;\s*as=/.test(type)).map((type) => type.split(';')[0]?.trim());
  if (!plain.some((type) => type === 'application/json' || type === '*/*')) {
    throw notAcceptable(served);
  }
}
