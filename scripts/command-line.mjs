/** What the commands of this folder say of their options. Each refusal ends the process with 2. */
import { access, constants } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

export function fail(message) {
  console.error(message);
  process.exit(2);
}

/** `parseArgs()` of Node; it refuses unknown options. */
export function parsed(config) {
  try {
    return parseArgs(config);
  } catch (error) {
    return fail(error.message);
  }
}

/** The option as a whole number; undefined if it is not given. */
export function wholeNumber(name, value, least, most = Number.MAX_SAFE_INTEGER) {
  if (value === undefined) return undefined;
  const read = Number(value);
  const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `from ${least} to ${most}`;
  if (!Number.isSafeInteger(read) || read < least || read > most)
    fail(`--${name} is '${value}': it must be a whole number, ${range}.`);
  return read;
}

/** The option `--minutes`. */
export function minutesIn(value) {
  const minutes = Number(value);
  if (!(minutes > 0)) fail(`--minutes is '${value}': it must be a number above 0.`);
  return minutes;
}

/** Refuses a file that cannot be written, before a run that may take long. */
export async function checkFolderOf(name, file) {
  const writable = await access(dirname(resolve(file)), constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!writable) fail(`--${name} is '${file}': its folder must exist and be writable.`);
}
