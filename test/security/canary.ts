/**
 * Credentials of tests, and all that tests let out: a secret that is seen in an output has leaked. `watch-outputs.ts` collects
 * the outputs, and fails the test in which one holds a secret.
 */
import type { ChildProcess } from 'node:child_process';

/** A word that stands in credentials of the tests, and nowhere else. */
const CANARY = 'canary-f3a9';
/** A shorter credential may stand in any text. */
const SHORTEST_SECRET = 10;
/** Of one place, until they are searched: a test may run for hours. */
const MOST_KEPT = 10_000;
/** Causes of causes. */
const DEEPEST_CAUSE = 10;
/** Of what a child prints, so much is looked at again with what follows. */
const LONGEST_SECRET = 2_000;

interface Kept {
  readonly secrets: Set<string>;
  /** By where they were let out. */
  readonly outputs: Map<string, Set<string>>;
  /** Found in outputs that are not kept any more. */
  readonly leaks: string[];
}

/** Of the process: a test that resets its modules has several copies of this one. */
const kept = ((globalThis as { nestjsLeaderCanary?: Kept }).nestjsLeaderCanary ??= {
  secrets: new Set([CANARY]),
  outputs: new Map<string, Set<string>>(),
  leaks: [],
});

/** A token, password or the like for a test. */
export function canary(name: string): string {
  return `${CANARY}-${name}`;
}

/** From now on nothing may hold that credential: a token, or the key in a PEM text. */
export function keepSecret(text: string): void {
  const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(\S+)/.exec(text)?.[1];
  const secret = key ?? text.trim();
  if (secret.length >= SHORTEST_SECRET) kept.secrets.add(secret);
}

/** Something was let out: to a log, a client, a caller. */
export function letOut(where: string, what: unknown): void {
  const texts = kept.outputs.get(where) ?? new Set();
  kept.outputs.set(where, texts.add(textOf(what)));
  if (texts.size >= MOST_KEPT) search();
}

/** Whatever the child prints and tells is let out. */
export function listenTo<T extends ChildProcess>(child: T): T {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    const push = stream.push.bind(stream);
    let before = '';
    // Listening to its data would take them from whoever comes later.
    stream.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      // A secret may be cut in two.
      before = before.slice(-LONGEST_SECRET) + textOf(chunk);
      letOut('output of a child process', before);
      return push(chunk, encoding);
    };
  }
  return child.on('message', (message) => {
    letOut('message of a child process', message);
  });
}

/** Every place where a secret was let out since this was last asked. */
export function leaks(): string[] {
  search();
  return kept.leaks.splice(0);
}

/** Late, since a credential may become known after it was let out. */
function search(): void {
  const forms = [...kept.secrets].flatMap(formsOf);
  for (const [where, texts] of kept.outputs)
    for (const text of texts)
      if (forms.some((form) => text.includes(form))) kept.leaks.push(`${where}: ${text.slice(0, 2_000)}`);
  kept.outputs.clear();
}

/** As it is, and in base64 wherever it begins in what was encoded. */
function formsOf(secret: string): string[] {
  const encoded = [0, 1, 2].map((before) => {
    const text = Buffer.from('x'.repeat(before) + secret).toString('base64');
    // What is beside it decides about the characters at its ends.
    return text.slice(before === 0 ? 0 : 4, -4);
  });
  return [secret, ...encoded];
}

/** All that a logger, a debugger or JSON would show of it. */
function textOf(what: unknown, depth = 0): string {
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
