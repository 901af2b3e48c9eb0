/** The table of handler kinds: every row is recognised and does what it says. `test/consumers/integrations` runs each with its real package. */
import 'reflect-metadata';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { Observable } from 'rxjs';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import type { ScriptedElector } from '../../lib/election/index.js';
import {
  OnlyWhenLeader,
  currentTerm,
  registerHandlerKind,
  type HandlerKind,
  type RefusedCall,
} from '../../lib/index.js';
import {
  HANDLER_KINDS,
  handlerKinds,
  kindOfCall,
  type KindOfHandler,
} from '../../lib/nest/gate/handler-kind.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';
import { applicationOf } from './application.js';

const rows: readonly KindOfHandler[] = HANDLER_KINDS;

interface Example {
  readonly metadata?: readonly [key: string, value: unknown];
  readonly ofClass?: readonly [key: string, value: unknown];
  readonly base?: new () => object;
  readonly method?: string;
  readonly context?: string;
  readonly args?: readonly unknown[];
}

const bullmqJob = { moveToWait: () => Promise.resolve() };
const bullJob = {
  id: 1,
  queue: {
    name: 'q',
    token: 't',
    toKey: (key: string) => key,
    client: { retryJob: () => Promise.resolve(0) },
  },
  moveToFailed: () => undefined,
};

class WorkerHost {
  get worker(): unknown {
    return undefined;
  }
}

/** A call of each kind, as its package makes it. A kind without an example does not compile. */
const examples: Readonly<Record<HandlerKind, Example>> = {
  bullmq: { base: WorkerHost, method: 'process', args: [bullmqJob] },
  bull: { metadata: ['bull:module_queue_process', {}], args: [bullJob] },
  timeout: { metadata: ['SCHEDULER_TYPE', 2] },
  schedule: { metadata: ['SCHEDULER_TYPE', 1] },
  event: { metadata: ['EVENT_LISTENER_METADATA', []], args: [{}] },
  eventPattern: { metadata: ['microservices:handler_type', 2], context: 'rpc', args: [{}] },
  eventsHandler: { ofClass: ['__eventsHandler__', []], method: 'handle', args: [{}] },
  saga: { ofClass: ['__saga__', ['saga']], method: 'saga', args: [{}] },
  rabbitmq: { context: 'rmq', args: [{}] },
  grpc: { metadata: ['microservices:transport', 4], context: 'rpc', args: [{}] },
  message: { metadata: ['microservices:handler_type', 1], context: 'rpc', args: [{}] },
  socket: { metadata: ['websockets:message_mapping', true], context: 'ws', args: [{}] },
  graphql: { metadata: ['graphql:resolver_type', 'Query'], context: 'graphql' },
  command: { ofClass: ['__commandHandler__', {}], method: 'execute', args: [{}] },
  promised: { metadata: ['microservices:handler_type', 1], args: [{}] },
  http: { metadata: ['path', '/'], context: 'http' },
  plain: { args: [{}] },
};

function callOf(example: Example): Parameters<typeof kindOfCall>[0] {
  const Base = example.base ?? Object;
  class Owner extends (Base as new () => object) {}
  const handler = (): void => undefined;
  if (example.metadata !== undefined) Reflect.defineMetadata(...example.metadata, handler);
  if (example.ofClass !== undefined) Reflect.defineMetadata(...example.ofClass, Owner);
  return {
    gated: handler,
    outermost: handler,
    method: example.method ?? 'run',
    owner: Owner,
    args: example.args ?? [],
    context: example.context,
  };
}

it.each(rows)('$kind is recognised by what its package leaves', ({ kind }) => {
  expect(kindOfCall(callOf(examples[kind as HandlerKind])).kind).toBe(kind);
});

describe('a gate with kind: a follower does what the row says, whoever calls', () => {
  it.each(rows)('$kind', async (row) => {
    const { outcome } = await following(row.kind, examples[row.kind as HandlerKind].args ?? []);
    const error = {
      own: { code: 'LEADER_NOT_LEADER' },
      route: { status: 503 },
      transport: { extensions: { code: 'NOT_LEADER' } },
    }[row.error];
    const expected = {
      skip: { returned: undefined },
      wait: { returned: 'a promise that waits' },
      eachTerm: { returned: expect.any(Observable) as unknown },
      putBack: { rejected: expect.any(Error) as unknown },
      reject: row.promise ? { rejected: error } : { thrown: error },
    };
    expect(outcome).toMatchObject(expected[row.onFollower as keyof typeof expected]);
  });
});

describe('a gate with kind: an ended term is told as the row says', () => {
  it.each(rows)('$kind', async (row) => {
    const own = { code: 'LEADER_TERM_OVER' };
    const expected = {
      ignore: { returned: undefined },
      rethrow: { rejected: own },
      fail: { rejected: row.error === 'route' ? { status: 503 } : { extensions: { code: 'TERM_OVER' } } },
      putBack: { rejected: own },
    };
    const args = row.kind === 'bullmq' ? [] : (examples[row.kind as HandlerKind].args ?? []);
    expect(await interrupted(row.kind, args)).toMatchObject(
      expected[row.onTermOver as keyof typeof expected],
    );
  });
});

/** What a call of a gated method does on a follower. */
async function following(
  kind: string,
  args: readonly unknown[],
  otherwise?: 'skip' | 'reject',
): Promise<{ outcome: object; ran: unknown[]; elector: ScriptedElector }> {
  const ran: unknown[] = [];
  @Injectable()
  class Work {
    @OnlyWhenLeader({ kind, otherwise })
    run(...given: unknown[]): unknown {
      ran.push(given);
      return 'done';
    }
  }
  const { app, elector } = await applicationOf(Work);
  onTestFinished(() => app.close());
  return { outcome: await outcomeOf(() => app.get(Work).run(...args)), ran, elector };
}

async function outcomeOf(call: () => unknown): Promise<object> {
  let returned: unknown;
  try {
    returned = call();
  } catch (error) {
    return { thrown: error };
  }
  if (!(returned instanceof Promise)) return { returned };
  const pending = Symbol('pending');
  const settled = returned.then(
    (value: unknown) => ({ returned: value }),
    (error: unknown) => ({ rejected: error }),
  );
  const turn = new Promise<typeof pending>((resolve) => setImmediate(resolve, pending));
  const first = await Promise.race([settled, turn]);
  return first === pending ? { returned: 'a promise that waits' } : first;
}

async function interrupted(kind: string, args: readonly unknown[]): Promise<object> {
  let begun: () => void = () => undefined;
  const underWay = new Promise<void>((resolve) => (begun = resolve));
  @Injectable()
  class Work {
    @OnlyWhenLeader({ kind })
    async run(..._given: unknown[]): Promise<unknown> {
      const { signal } = currentTerm();
      await new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          resolve();
        });
        begun();
      });
      throw signal.reason;
    }
  }
  const { app, elector } = await applicationOf(Work);
  onTestFinished(() => app.close());
  elector.grant();
  const answer = app.get(Work).run(...args);
  await underWay;
  elector.revoke();
  return answer.then(
    (returned) => ({ returned }),
    (error: unknown) => ({ rejected: error }),
  );
}

describe('registerHandlerKind', () => {
  const removers: (() => void)[] = [];
  const register = (options: Parameters<typeof registerHandlerKind>[0]): void => {
    removers.push(registerHandlerKind(options));
  };
  afterEach(() => {
    for (const remove of removers.splice(0)) remove();
  });

  it.each([
    ['skip', { returned: undefined }],
    ['reject', { thrown: { code: 'LEADER_NOT_LEADER' } }],
    ['wait', { returned: 'a promise that waits' }],
    [({ leader, method }: RefusedCall) => `${method} asks '${leader}'`, { returned: "run asks ''" }],
  ] as const)('a follower does what it says: %s', async (onFollower, expected) => {
    register({ kind: 'own', onFollower, onTermOver: 'ignore' });
    const { outcome, ran, elector } = await following('own', [1]);
    expect(outcome).toMatchObject(expected);
    elector.grant();
    await new Promise((resolve) => setImmediate(resolve));
    expect(ran).toEqual(onFollower === 'wait' ? [[1]] : []);
  });

  it.each([
    ['ignore', { returned: undefined }],
    ['rethrow', { rejected: { code: 'LEADER_TERM_OVER' } }],
    [({ code }: { code: string }) => `ended: ${code}`, { returned: 'ended: LEADER_TERM_OVER' }],
  ] as const)('an ended term is told as it says: %s', async (onTermOver, expected) => {
    register({ kind: 'own', onFollower: 'skip', onTermOver });
    expect(await interrupted('own', [])).toMatchObject(expected);
  });

  it('otherwise on the gate goes before it', async () => {
    register({ kind: 'own', onFollower: 'skip', onTermOver: 'ignore' });
    expect((await following('own', [], 'reject')).outcome).toMatchObject({
      thrown: { code: 'LEADER_NOT_LEADER' },
    });
  });

  it('recognises calls by metadata, before the kinds that are known, and by context', () => {
    register({
      kind: 'job',
      recognise: { metadata: 'my:job' },
      onFollower: 'skip',
      onTermOver: 'ignore',
    });
    register({
      kind: 'bot',
      recognise: { context: 'telegraf' },
      onFollower: 'reject',
      onTermOver: 'rethrow',
    });
    const call = callOf({ metadata: ['my:job', 1], args: [1] });
    expect(kindOfCall(call).kind).toBe('job');
    Reflect.defineMetadata('EVENT_LISTENER_METADATA', [], call.gated);
    expect(kindOfCall(call).kind).toBe('job');
    // A package with a context of its own.
    expect(kindOfCall({ ...call, context: 'necord' }).kind).toBe('job');
    expect(kindOfCall({ ...call, context: 'http' }).kind).toBe('http');
    expect(kindOfCall({ ...callOf({}), context: 'telegraf' }).kind).toBe('bot');
    expect(kindOfCall({ ...callOf({}), context: 'necord' }).kind).toBe('plain');
  });

  it('refuses a name that exists, and mistakes, by name', () => {
    register({ kind: 'own', onFollower: 'skip', onTermOver: 'ignore' });
    const again = { kind: 'own', onFollower: 'skip', onTermOver: 'ignore' } as const;
    expect(() => registerHandlerKind(again)).toThrow(/kind 'own' exists already/);
    expect(() => registerHandlerKind({ ...again, kind: 'schedule' })).toThrow(
      /kind 'schedule' exists already/,
    );
    const wrong = {
      kind: '',
      recognise: { context: 'http' },
      onFollower: 'putBack',
      onTermOver: undefined,
    };
    expect(() => registerHandlerKind(wrong as never)).toThrow(
      expect.objectContaining({
        code: 'LEADER_INVALID_OPTIONS',
        violations: [
          "kind is '': it must be a name",
          expect.stringContaining("recognise.context is 'http'") as unknown,
          "onFollower is 'putBack': it must be 'skip', 'reject', 'wait' or a function",
          "onTermOver is missing: it must be 'ignore', 'rethrow' or a function",
        ],
      }),
    );
    expect(handlerKinds().filter((kind) => kind === 'own')).toHaveLength(1);
  });

  it.each([
    [undefined, ['they are missing: they must be an object']],
    ['nightly', ['they are string: they must be an object']],
    [
      { recognize: { metadata: 'x' } },
      [expect.stringContaining('recognize (did you mean recognise?): there is no such option')],
    ],
    [{ recognise: null }, ['recognise is null: it must be an object with metadata or context']],
    [{ recognise: 'app:nightly' }, ['recognise is string: it must be an object with metadata or context']],
    [
      { recognise: { metadatas: 'x' } },
      [expect.stringContaining('recognise.metadatas (did you mean metadata?): there is no such option')],
    ],
    [
      { recognise: { metadata: 5, context: '' } },
      [
        'recognise.metadata is 5: it must be a metadata key, a non-empty string or a symbol',
        "recognise.context is '': it must be the type of an execution context, a non-empty string",
      ],
    ],
  ])('refuses %o, which would recognise nothing', (wrong, violations) => {
    const whole = { kind: 'own', onFollower: 'skip', onTermOver: 'ignore' };
    const given = typeof wrong === 'object' ? { ...whole, ...wrong } : wrong;
    expect(() => registerHandlerKind(given as never)).toThrow(
      expect.objectContaining({ code: 'LEADER_INVALID_OPTIONS', violations }),
    );
    expect(handlerKinds()).not.toContain('own');
  });

  it('a kind that is removed twice takes no other with it', () => {
    const options = { onFollower: 'skip', onTermOver: 'ignore' } as const;
    const remove = registerHandlerKind({ kind: 'first', ...options });
    register({ kind: 'second', ...options });
    remove();
    remove();
    expect(handlerKinds()).toContain('second');
  });

  it('a kind that was removed may be registered again', () => {
    const options = { kind: 'own', onFollower: 'skip', onTermOver: 'ignore' } as const;
    registerHandlerKind(options)();
    expect(handlerKinds()).not.toContain('own');
    register(options);
  });
});

it('a gate whose kind nobody knows fails at boot, and names the method and the kinds', async () => {
  class Jobs {
    @OnlyWhenLeader({ kind: 'shedule' })
    send(): void {
      throw new Error('not reached');
    }
  }
  const module = Test.createTestingModule({
    imports: [LeaderElectionTestingModule.forRoot()],
    providers: [Jobs],
  });
  await expect(module.compile()).rejects.toMatchObject({
    code: 'LEADER_INVALID_OPTIONS',
    violations: [expect.stringMatching(/^Jobs\.send\(\) .*'shedule'.*schedule, /)],
  });
});

describe('the documentation', () => {
  const phrases: Readonly<Record<string, RegExp>> = {
    skip: /skipped/,
    wait: /waits until this process leads/,
    eachTerm: /in each term/,
    reject: /503|error|UNAVAILABLE|`exception`|fails/,
    putBack: /goes back to waiting/,
    ignore: /no error is logged|waits for the next term/,
    rethrow: /what it threw|goes back to waiting/,
    fail: /503|TERM_OVER/,
  };

  it('has every kind in one row, with its decorators and what it does', async () => {
    const text = await readFile('docs/gate.md', 'utf8');
    const table = [...text.matchAll(/^\| (.*?) +\| (`.*?`) +\| (.*?) +\| (.*?) +\|$/gm)].map(
      ([, handlers = '', kinds = '', follower = '', over = '']) => ({ handlers, kinds, follower, over }),
    );
    const documented = table.flatMap(({ kinds }) => kinds.split(', '));
    expect([...documented].sort()).toEqual(rows.map(({ kind }) => `\`${kind}\``).sort());
    for (const row of rows) {
      const found = table.find(({ kinds }) => kinds.split(', ').includes(`\`${row.kind}\``));
      for (const decorator of row.decorators) expect(found?.handlers).toContain(decorator);
      expect(found?.follower, row.kind).toMatch(phrases[String(row.onFollower)] ?? /^$/);
      expect(found?.over, row.kind).toMatch(phrases[String(row.onTermOver)] ?? /^$/);
    }
  });

  it('every decorator of a row is run by its real package', async () => {
    const folder = 'test/consumers/integrations/src';
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const specs = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
    for (const decorator of rows.flatMap(({ decorators }) => [...decorators])) {
      const used = specs.some((spec) => spec.includes(`${decorator}(`) && spec.includes('@OnlyWhenLeader('));
      expect([decorator, used]).toEqual([decorator, true]);
    }
  });
});
