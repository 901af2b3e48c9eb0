/**
 * What an option's value is, in an error's words. It may be anything in JavaScript, so nothing here throws, and what is shown
 * is short and of one line, however long the value is.
 */

const LONGEST_SHOWN = 80;
const LONGEST_TEXT = 50;
const MOST_ENTRIES = 5;
/** Of objects within objects. */
const DEEPEST = 2;
const UNREADABLE = 'an object that cannot be looked into';

/** The value itself, up to some 80 characters. A value that may be a secret is not to be shown: see {@link kindOf}. */
export function show(value: unknown, quote: "'" | '"' = "'"): string {
  if (value === undefined) return 'missing';
  try {
    return cut(render(value, quote, 0));
  } catch {
    return UNREADABLE;
  }
}

/** Of which kind the value is, and nothing of what it holds: `missing`, `string`, `null`, `an array`, `a Map`. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  try {
    if (Array.isArray(value)) return 'an array';
    if (isPlain(value)) return 'an object';
    const { name } = value.constructor;
    return /^\w{1,40}$/.test(name) ? `a ${name}` : 'an object';
  } catch {
    return UNREADABLE;
  }
}

/** A copy of an object of names and values, also one of a class. Undefined for all else: null, an array, a Map, a Date. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  try {
    return Object.prototype.toString.call(value) === '[object Object]' ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it is a number of milliseconds, 0 or more. */
export function isDuration(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function render(value: unknown, quote: "'" | '"', depth: number): string {
  switch (typeof value) {
    case 'string':
      return text(value, quote);
    case 'bigint':
      return `${String(value)}n`;
    case 'symbol':
    case 'function':
      return `a ${typeof value}`;
    case 'object':
      return value === null ? 'null' : renderObject(value, depth);
    case 'undefined':
    case 'boolean':
    case 'number':
      return String(value);
  }
}

function renderObject(value: object, depth: number): string {
  const isArray = Array.isArray(value);
  if (depth === DEEPEST || !(isArray || isPlain(value))) return kindOf(value);
  const within = (one: unknown): string => render(one, '"', depth + 1);
  if (isArray) return `[${list(value.slice(0, MOST_ENTRIES).map(within), value.length)}]`;
  const keys = Object.keys(value);
  const shown = keys.slice(0, MOST_ENTRIES).map((key) => {
    const field: unknown = value[key as keyof typeof value];
    return `${text(key, '"')}:${within(field)}`;
  });
  return `{${list(shown, keys.length)}}`;
}

function list(shown: readonly string[], length: number): string {
  return [...shown, ...(length > shown.length ? ['…'] : [])].join(',');
}

function text(value: string, quote: "'" | '"'): string {
  let shown = '';
  for (const character of value) {
    const next = escape(character, quote);
    if (shown.length + next.length > LONGEST_TEXT)
      return `${quote}${shown}…${quote} (${String(value.length)} characters)`;
    shown += next;
  }
  return quote + shown + quote;
}

/** So that no text ends its quotes, or its line, itself. */
function escape(character: string, quote: "'" | '"'): string {
  if (character === quote || character === '\\') return `\\${character}`;
  if (character === '"') return character;
  // C1 controls and the separators of lines and paragraphs: JSON leaves them as they are.
  if (/[\u007f-\u009f\u2028\u2029]/.test(character))
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(character).slice(1, -1);
}

function cut(shown: string): string {
  return shown.length > LONGEST_SHOWN ? `${shown.slice(0, LONGEST_SHOWN)}…` : shown;
}

/** Made by `{}`, in whatever context, or without a prototype. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
