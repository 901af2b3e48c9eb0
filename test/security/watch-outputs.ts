/**
 * Runs before every test file, and collects the outputs of tests: the standard streams and the console, what Nest's loggers
 * get, the body and headers of every HTTP response (health, 503), and every error of this package with its causes. A
 * test whose output contains a secret fails. Secrets are the canary, what `keepSecret` got, and every token and password
 * that a request of the test carries.
 *
 * Tests that start child processes collect their outputs with `listenTo`.
 */
import http from 'node:http';
import type * as Nest from '@nestjs/common';
import { afterAll, afterEach, expect, vi } from 'vitest';
import { keepSecret, leaks, letOut } from './canary.js';

vi.mock('../../lib/election/errors.js', async (original) => {
  const errors: Record<string, unknown> = await original();
  const isError = (value: unknown): value is typeof Error =>
    typeof value === 'function' && value.prototype instanceof Error;
  const watched = Object.entries(errors).map(([name, value]) => [
    name,
    isError(value) ? watchedClass(value) : value,
  ]);
  return Object.fromEntries(watched) as typeof errors;
});

/** Collects the lines even if a test turns the logger off, or collects them itself. */
vi.mock('@nestjs/common', async (original) => {
  const nest: typeof Nest = await original();
  for (const level of ['log', 'warn', 'error', 'debug', 'verbose', 'fatal'])
    watchCalls(nest.Logger.prototype, level, letOutAll("Nest's logger"));
  return nest;
});

/** The same class; each new instance is noted as an output. */
function watchedClass(errorClass: typeof Error): typeof Error {
  return new Proxy(errorClass, {
    construct(target, args, newTarget: typeof Error) {
      const error = Reflect.construct(target, args, newTarget) as Error;
      letOut('error', error);
      return error;
    },
  });
}

/** Calls `watch` with the arguments of a method before each call. */
function watchCalls(
  object: object,
  name: string,
  watch: (self: unknown, args: readonly unknown[]) => void,
): void {
  const method = Reflect.get(object, name) as (...args: unknown[]) => unknown;
  Reflect.set(object, name, function (this: unknown, ...args: unknown[]) {
    watch(this, args);
    return method.apply(this, args);
  });
}

function letOutAll(where: string): (self: unknown, args: readonly unknown[]) => void {
  return (_self, args) => {
    for (const arg of args) if (typeof arg !== 'function') letOut(where, arg);
  };
}

watchCalls(process.stdout, 'write', letOutAll('standard output'));
watchCalls(process.stderr, 'write', letOutAll('standard error'));
watchCalls(process, 'emitWarning', letOutAll('warning'));
for (const name of ['log', 'info', 'warn', 'error', 'debug']) watchCalls(console, name, letOutAll('console'));
for (const name of ['write', 'end', 'setHeader', 'writeHead'])
  watchCalls(http.ServerResponse.prototype, name, letOutAll('HTTP response'));

watchCalls(http.ClientRequest.prototype, 'end', (self) => {
  const header = String((self as http.ClientRequest).getHeader('authorization') ?? '');
  const [, scheme, credentials = ''] = /^(Bearer|Basic) (.+)$/.exec(header) ?? [];
  if (scheme === 'Bearer') keepSecret(credentials);
  if (scheme === 'Basic')
    keepSecret(Buffer.from(credentials, 'base64').toString().split(':').slice(1).join(':'));
});

function expectNoLeak(): void {
  expect(leaks(), 'secrets were let out').toEqual([]);
}
afterEach(expectNoLeak);
afterAll(expectNoLeak);
