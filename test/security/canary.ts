/**
 * Credentials of tests, and all that tests let out: a secret that is seen in an output has leaked. `watch-outputs.ts` collects
 * the outputs, and fails the test in which one holds a secret.
 */
import type { ChildProcess } from 'node:child_process';

/** A word that stands in credentials of the tests, and nowhere else. */
const CANARY = 'canary-f3a9';
/** A shorter credential may stand in any text. */
const SHORTEST_SECRET = 10;
/** Of what a child prints, so much is looked at again with what follows. */
const LONGEST_SECRET = 2_000;

interface Kept {
  readonly secrets: Set<string>;
  /** By where they were let out. */
  readonly outputs: Map<string, Set<string>>;
}

/** Of the process: a test that resets its modules has several copies of this one. */
const kept = ((globalThis as { nestjsLeaderCanary?: Kept }).nestjsLeaderCanary ??= {
  secrets: new Set([CANARY]),
  outputs: new Map<string, Set<string>>(),
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
  const forms = [...kept.secrets].flatMap(formsOf);
  const found = [...kept.outputs].flatMap(([where, texts]) =>
    [...texts]
      .filter((text) => forms.some((form) => text.includes(form)))
      .map((text) => `${where}: ${text.slice(0, 2_000)}`),
  );
  kept.outputs.clear();
  return found;
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
function textOf(what: unknown): string {
  if (typeof what === 'string') return what;
  if (what instanceof Uint8Array) return Buffer.from(what).toString('utf8');
  if (what instanceof Error) {
    const fields = Object.entries(what).map(([name, value]) => `${name}: ${textOf(value)}`);
    const cause = what.cause === undefined ? '' : textOf(what.cause);
    return [what.message, what.stack, ...fields, cause].join('\n');
  }
  try {
    return (
      JSON.stringify(what, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)) ?? ''
    );
  } catch {
    return String(what);
  }
}
