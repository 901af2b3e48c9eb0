import { isAbsolute } from 'node:path';

/** Longer than any path in use, but shorter than a kubeconfig or a key, which may be given as a path by mistake. */
const LONGEST_PATH = 1_024;
/** Longer than the name of a file or folder. What is longer is a token, or base64. */
const LONGEST_NAME = 128;

/** What no path contains: control characters, JSON's quotes, YAML's `key: value`, PEM (also in base64), a JWT. */
// eslint-disable-next-line no-control-regex -- the expression looks for control characters
const ofTexts = /[\u0000-\u001f\u007f"]|:\s|-----BEGIN|LS0tLS1CRUdJTi|^\s*[{[]|(?:^|[\\/])eyJ[\w-]+\.[\w-]+/;

/** Whether a string contains something that no path contains. */
export function holdsText(value: string): boolean {
  return ofTexts.test(value);
}

/** Whether a value can be the path of a file. */
export function isPath(value: unknown): value is string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > LONGEST_PATH) return false;
  return !holdsText(value) && value.split(/[\\/]/).every((name) => name.length <= LONGEST_NAME);
}

/** Whether a value is certainly a path, and so may be shown. A single word may be a token. */
export function isCertainPath(value: unknown): value is string {
  return (
    isPath(value) &&
    !isUrl(value) &&
    (isAbsolute(value) || /^[.~]{1,2}[\\/]|\.(?:ya?ml|json|conf|config)$/.test(value))
  );
}

/** Whether a string is a URL, which may contain a password. */
export function isUrl(value: string): boolean {
  return /^\s*[a-z][\w+.-]+:\/\//i.test(value);
}

/** What follows the name of a file in a message: its path, or a note that the path is not shown. */
export function shownPath(path: string): string {
  return isCertainPath(path) ? ` ${path}` : ' (its path is not shown, because it may be a secret)';
}
