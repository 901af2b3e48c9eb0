/** Gated work of every kind: what listens to the term's signal, and what does not. */
import { EventEmitter, once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { OnEvent } from '@nestjs/event-emitter';
import { LeaderService, OnlyWhenLeader, currentTerm, isTermOver } from 'nestjs-leader';
import { Database, setup } from './modules-that-stop.js';
import { tell, type Work } from './setup.js';

const FOR_EVER = 2 ** 31 - 1;

@Injectable()
export class LongWork {
  readonly orders = new EventEmitter();

  constructor(
    private readonly database: Database,
    private readonly leader: LeaderService,
  ) {}

  /** As an event listener, whose errors @nestjs/event-emitter logs. */
  @OnEvent('work', { suppressErrors: true })
  @OnlyWhenLeader()
  async work(kind: Work): Promise<void> {
    const { signal, fencingToken } = currentTerm();
    const token = fencingToken.toString();
    signal.addEventListener('abort', () => {
      tell('told', { kind, isLeader: this.leader.isLeader(), state: this.leader.state.kind });
    });
    tell('working', { kind, token });
    try {
      await this[kind]();
      tell('ended', { kind, token, database: this.database.isOpen });
    } catch (error) {
      const { name, message } = error as Error;
      tell('failed', { kind, token, name, message, isTermOver: isTermOver(error, currentTerm()) });
      throw error;
    }
  }

  async obedient(): Promise<void> {
    const finished = once(this.orders, 'finish');
    const { signal } = currentTerm();
    if (!signal.aborted) await once(signal, 'abort');
    await finished;
  }

  async stubborn(): Promise<void> {
    await once(this.orders, 'finish');
  }

  async fetch(): Promise<void> {
    await fetch(setup.silentUrl ?? '', { signal: currentTerm().signal });
  }

  async timer(): Promise<void> {
    await pause(FOR_EVER, undefined, { signal: currentTerm().signal });
  }

  async pipeline(): Promise<void> {
    const source = new Readable({ read: () => undefined });
    source.push('the first of many');
    await pipeline(source, new PassThrough(), { signal: currentTerm().signal });
  }

  /** A client of a database that takes a signal. */
  async query(): Promise<void> {
    const { signal } = currentTerm();
    await new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        reject(Object.assign(new Error('canceling statement due to user request'), { cause: signal.reason }));
      });
    });
  }

  /** One that knows no signal. */
  async race(): Promise<void> {
    await currentTerm().race(once(this.orders, 'finish'));
  }

  async ownError(): Promise<void> {
    await once(currentTerm().signal, 'abort');
    throw new Error('an error of its own');
  }
}
