import { isAbsolute } from 'node:path';

/** Longer than any path in use, and shorter than a kubeconfig or a key, which may be given as a path by mistake. */
const LONGEST_PATH = 1_024;
/** Longer than the name of a file or folder; what is longer is a token, or a text in base64. */
const LONGEST_NAME = 128;

/** What no path contains: control characters, quotes as in JSON, `key: value` as in YAML, PEM, also in base64, a JWT. */
// eslint-disable-next-line no-control-regex -- they are what is looked for
const ofTexts = /[\u0000-\u001f\u007f"]|:\s|-----BEGIN|LS0tLS1CRUdJTi|^\s*[{[]|(?:^|[\\/])eyJ[\w-]+\.[\w-]+/;

/** Whether a text contains something that no path contains. */
export function holdsText(value: string): boolean {
  return ofTexts.test(value);
}

/** Whether a text can be the path of a file. */
export function isPath(value: unknown): value is string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > LONGEST_PATH) return false;
  return !holdsText(value) && value.split(/[\\/]/).every((name) => name.length <= LONGEST_NAME);
}

/** Whether a text is certainly a path, so that it may be shown. A single word may be a token. */
export function isCertainPath(value: unknown): value is string {
  return (
    isPath(value) &&
    !isUrl(value) &&
    (isAbsolute(value) || /^[.~]{1,2}[\\/]|\.(?:ya?ml|json|conf|config)$/.test(value))
  );
}

/** Whether a text is a URL, which may contain a password. */
export function isUrl(value: string): boolean {
  return /^\s*[a-z][\w+.-]+:\/\//i.test(value);
}

/** The text to append to the name of a file in a message: its path, or that the path is not shown. */
export function shownPath(path: string): string {
  return isCertainPath(path) ? ` ${path}` : ' (its path is not shown, for it may be a secret)';
}
