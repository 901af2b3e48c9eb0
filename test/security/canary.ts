/**
 * The credentials of tests, and all their outputs: a secret that is found in an output has leaked. `watch-outputs.ts` collects
 * the outputs, and fails a test if one of its outputs contains a secret.
 */
import type { ChildProcess } from 'node:child_process';

/** A word that occurs only in credentials of tests. */
const CANARY = 'canary-f3a9';
/** A shorter credential might occur in any text. */
const SHORTEST_SECRET = 10;
/** How many outputs of one place are kept before they are searched: a test may run for hours. */
const MOST_KEPT = 10_000;
/** How many levels of causes are searched. */
const DEEPEST_CAUSE = 10;
/** How much of a child's output is searched again together with what follows. */
const LONGEST_SECRET = 2_000;

interface Kept {
  readonly secrets: Set<string>;
  /** By place. */
  readonly outputs: Map<string, Set<string>>;
  /** Leaks that were found in outputs which are no longer kept. */
  readonly leaks: string[];
}

/** Kept on the global object, because a test that resets its modules has several copies of this one. */
const kept = ((globalThis as { nestjsLeaderCanary?: Kept }).nestjsLeaderCanary ??= {
  secrets: new Set([CANARY]),
  outputs: new Map<string, Set<string>>(),
  leaks: [],
});

/** A token, password or the like for a test. */
export function canary(name: string): string {
  return `${CANARY}-${name}`;
}

/** From now on no output may contain this credential: a token, or the key in a PEM text. */
export function keepSecret(text: string): void {
  const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(\S+)/.exec(text)?.[1];
  const secret = key ?? text.trim();
  if (secret.length >= SHORTEST_SECRET) kept.secrets.add(secret);
}

/** Notes an output: to a log, a client or a caller. */
export function letOut(where: string, what: unknown): void {
  const texts = kept.outputs.get(where) ?? new Set();
  kept.outputs.set(where, texts.add(textOf(what)));
  if (texts.size >= MOST_KEPT) search();
}

/** Notes everything that a child process prints and sends as output. */
export function listenTo<T extends ChildProcess>(child: T): T {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    const push = stream.push.bind(stream);
    let before = '';
    // A listener for its data would take the data from a later listener.
    stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      // A secret may be split over two chunks.
      before = before.slice(-LONGEST_SECRET) + textOf(chunk);
      letOut('output of a child process', before);
      return push(chunk, encoding);
    };
  }
  return child.on('message', (message) => {
    letOut('message of a child process', message);
  });
}

/** Every leak since the last call. */
export function leaks(): string[] {
  search();
  return kept.leaks.splice(0);
}

/** Done late, because a credential may become known after it has leaked. */
function search(): void {
  const forms = [...kept.secrets].flatMap(formsOf);
  for (const [where, texts] of kept.outputs)
    for (const text of texts)
      if (forms.some((form) => text.includes(form))) kept.leaks.push(`${where}: ${text.slice(0, 2_000)}`);
  kept.outputs.clear();
}

/** The secret itself, and its base64 forms for each offset in the encoded text. */
function formsOf(secret: string): string[] {
  const encoded = [0, 1, 2].map((before) => {
    const text = Buffer.from('x'.repeat(before) + secret).toString('base64');
    // The characters at both ends depend on the neighbouring bytes.
    return text.slice(before === 0 ? 0 : 4, -4);
  });
  return [secret, ...encoded];
}

/** Everything that a logger, a debugger or JSON would show of a value. */
export function textOf(what: unknown, depth = 0): string {
  if (typeof what === 'string') return what;
  if (what instanceof Uint8Array) return Buffer.from(what).toString('utf8');
  if (what instanceof Error) {
    if (depth > DEEPEST_CAUSE) return '';
    const { message, stack = '', cause } = what;
    // Not enumerable: those of an AggregateError.
    const parts = [
      cause,
      ...Object.values(what),
      ...((what as Partial<AggregateError>).errors ?? []),
    ] as unknown[];
    return [message, stack, ...parts.map((part) => textOf(part, depth + 1))].join('\n');
  }
  try {
    const text: unknown = JSON.stringify(what, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    return String(text);
  } catch {
    return String(what);
  }
}
