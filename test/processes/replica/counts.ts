/** Counts what this process holds. */
import { connect } from 'node:http2';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { setImmediate as immediate } from 'node:timers/promises';
import { queryObjects } from 'node:v8';
import type { Counts } from './messages.js';

type Constructor = abstract new (...args: never[]) => unknown;

const MIB = 2 ** 20;

let classes: ReturnType<typeof nodeClasses> | undefined;

/**
 * Objects that nothing refers to are collected first, so what is counted is held by something. The heap is searched for one class at
 * a time, a tenth of a second or two each, and the process goes on in between.
 */
export async function countAll(): Promise<Counts> {
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  classes ??= nodeClasses();
  return {
    heap: heapUsed / MIB,
    rss: rss / MIB,
    handles: process.getActiveResourcesInfo().length,
    timers: await held(classes.timer),
    sockets: await held(Socket),
    sessions: await held(classes.session),
    streams: await held(classes.stream),
    processListeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    signalListeners: await held(classes.listener),
    functions: await held(Function),
  };
}

/** Classes of Node that it does not export, taken from an object of each. */
function nodeClasses(): Readonly<Record<'timer' | 'session' | 'stream' | 'listener', Constructor>> {
  const timer = setTimeout(() => undefined, 0);
  clearTimeout(timer);
  const session = connect('http://localhost', { createConnection: () => new PassThrough() });
  const stream = session.request();
  for (const emitter of [session, stream]) emitter.on('error', () => undefined);
  stream.destroy();
  session.destroy();
  return {
    timer: classOf(timer),
    session: classOf(session),
    stream: classOf(stream),
    listener: classOf(firstListener()),
  };
}

/** Node keeps the listeners of an EventTarget, such as an AbortSignal, as a linked list of objects of one class. */
function firstListener(): object {
  const target = new EventTarget();
  target.addEventListener('event', () => undefined);
  const key = Object.getOwnPropertySymbols(target).find(({ description }) => description === 'kEvents');
  const lists = Reflect.get(target, key ?? 'kEvents') as Map<string, { next: object }> | undefined;
  const listener = lists?.get('event')?.next;
  if (listener === undefined) {
    throw new Error(
      `This Node (${process.version}) keeps the listeners of an EventTarget in a way that is not known here.`,
    );
  }
  return listener;
}

function classOf(object: object): Constructor {
  return object.constructor as Constructor;
}

async function held(type: Constructor): Promise<number> {
  await immediate();
  return queryObjects(type) as number;
}
