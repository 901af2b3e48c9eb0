/** Paths of files in options and kubeconfigs. By mistake a secret may stand there: the text of a kubeconfig, a key, a token. */
import { isAbsolute } from 'node:path';

/** Longer than any path in use, and shorter than a kubeconfig or key. */
const LONGEST_PATH = 1_024;
/** Of a file or folder; what is longer is a token, or a text in base64. */
const LONGEST_NAME = 128;

/** What no path holds: control characters, quotes as in JSON, `key: value` as in YAML, PEM, also in base64, a JWT. */
// eslint-disable-next-line no-control-regex -- they are what is looked for
const ofTexts = /[\u0000-\u001f\u007f"]|:\s|-----BEGIN|LS0tLS1CRUdJTi|^\s*[{[]|(?:^|[\\/])eyJ[\w-]+\.[\w-]+/;

/** Whether there is something in it that no path holds. */
export function holdsText(value: string): boolean {
  return ofTexts.test(value);
}

/** Whether it can be the path of a file. */
export function isPath(value: unknown): value is string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > LONGEST_PATH) return false;
  return !holdsText(value) && value.split(/[\\/]/).every((name) => name.length <= LONGEST_NAME);
}

/** Whether it is a path without doubt, so that it may be shown: a word alone may be a token. */
export function isCertainPath(value: unknown): value is string {
  return (
    isPath(value) &&
    !isUrl(value) &&
    (isAbsolute(value) || /^[.~]{1,2}[\\/]|\.(?:ya?ml|json|conf|config)$/.test(value))
  );
}

/** Whether it is a URL, which may hold a password. */
export function isUrl(value: string): boolean {
  return /^\s*[a-z][\w+.-]+:\/\//i.test(value);
}

/** Behind the name of what it is the path of. */
export function shownPath(path: string): string {
  return isCertainPath(path) ? ` ${path}` : ' (its path is not shown, for it may be a secret)';
}
