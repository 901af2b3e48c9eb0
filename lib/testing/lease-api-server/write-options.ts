/** The query of writes: `dryRun`, `fieldManager`, `fieldValidation`. */
import type { FieldValidation } from './body-decoding.js';
import { goQuote } from './go-quote.js';
import { toJson } from './json-text.js';
import { invalid, tooLong, unsupportedValue, type FieldError } from './status.js';

/** What was asked for. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly manager: string;
  readonly fieldValidation: FieldValidation;
}

const MAX_MANAGER_BYTES = 128;
const validations: readonly string[] = ['Ignore', 'Strict', 'Warn'];

/**
 * @param kind the type of options, which an error names.
 * @throws StatusError 422
 */
export function parseWriteOptions(
  query: URLSearchParams,
  userAgent: string | undefined,
  kind: string,
): WriteOptions {
  const manager = query.get('fieldManager') ?? '';
  const dryRun = query.getAll('dryRun').filter((value) => value !== '');
  const validation = query.get('fieldValidation') ?? '';
  const errors: FieldError[] = [];
  if (Buffer.byteLength(manager) > MAX_MANAGER_BYTES) {
    errors.push(tooLong('fieldManager', `may not be more than ${String(MAX_MANAGER_BYTES)} bytes`));
  }
  if (dryRun.some((each) => each !== 'All')) errors.push(unsupportedValue('dryRun', toJson(dryRun), ['All']));
  if (validation !== '' && !validations.includes(validation)) {
    errors.push(unsupportedValue('fieldValidation', goQuote(validation), ['', ...validations]));
  }
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', errors);
  return {
    dryRun: dryRun.length > 0,
    manager: manager === '' ? managerFrom(userAgent) : manager,
    fieldValidation: validation === '' ? 'Warn' : (validation as FieldValidation),
  };
}

function managerFrom(userAgent = ''): string {
  const name = userAgent.split('/')[0] ?? '';
  return name === '' ? 'unknown' : name;
}
