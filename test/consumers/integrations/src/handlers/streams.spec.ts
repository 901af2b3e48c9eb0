/** Results that go on after the method has returned belong to the term until they have ended. */
import { Controller, Get, Injectable, Sse, StreamableFile, type MessageEvent } from '@nestjs/common';
import { LeaderService, OnlyWhenLeader } from 'nestjs-leader';
import { PassThrough } from 'node:stream';
import { NEVER, Observable, concat, of } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { adapters, application, listening } from './application.js';

const source = { ended: 0 };

@Controller()
class Streams {
  static file: PassThrough;

  @Sse('news')
  @OnlyWhenLeader()
  news(): Observable<MessageEvent> {
    return new Observable((subscriber) => {
      const inner = concat(of({ data: 'first' }), NEVER).subscribe(subscriber);
      return () => {
        source.ended += 1;
        inner.unsubscribe();
      };
    });
  }

  @Get('file')
  @OnlyWhenLeader()
  file(): StreamableFile {
    Streams.file = new PassThrough();
    Streams.file.write('first');
    return new StreamableFile(Streams.file);
  }
}

describe.each(adapters)('on %s', (_, adapter) => {
  it('server-sent events are refused by a follower', async () => {
    const { url } = await listening({ controllers: [Streams] }, adapter());
    const refused = await fetch(`${url}/news`);
    expect([refused.status, await refused.json()]).toMatchObject([503, { leader: '' }]);
    // Or Nest 11.0 would answer 200 before it asks the route.
    expect(Reflect.getMetadata('__interceptors__', Streams.prototype.news)).toBeUndefined();
  });

  it('server-sent events end with the term, with an event that says so', async () => {
    source.ended = 0;
    const { url, elector, errors } = await listening({ controllers: [Streams] }, adapter());
    elector.grant();
    const reader = (await fetch(`${url}/news`)).body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('data: first')) text += (await reader?.read())?.value ?? '';
    elector.revoke('deadline');
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read())
      text += part.value;
    expect(text).toMatch(/event: error\n(id: \d+\n)?data: The term on 'default' is over \(deadline\)/);
    expect([source.ended, errors]).toEqual([1, []]);
  });

  it('a hand-over waits for a file that is being sent, and cuts it off', async () => {
    const { url, elector } = await listening({ controllers: [Streams] }, adapter());
    elector.grant();
    const reader = (await fetch(`${url}/file`)).body?.getReader();
    await reader?.read();
    const closed = new Promise((resolve) => Streams.file.once('close', resolve));
    const order: string[] = [];
    await Promise.all([
      closed.then(() => order.push('file')),
      elector.stepDown().then(() => order.push('handed over')),
    ]);
    expect(order).toEqual(['file', 'handed over']);
    expect(Streams.file.errored).toMatchObject({ code: 'LEADER_TERM_OVER', reason: 'steppedDown' });
  });
});

it('an async generator that is called by hand ends with its term', async () => {
  @Injectable()
  class Rows {
    @OnlyWhenLeader()
    async *all(): AsyncGenerator<number> {
      for (let row = 1; ; row += 1) yield row;
    }
  }
  const { app, elector } = await application({ providers: [Rows] });
  expect(() => app.get(Rows).all()).toThrow(expect.objectContaining({ code: 'LEADER_NOT_LEADER' }));
  elector.grant();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const row of app.get(Rows).all()) {
      seen.push(row);
      if (row === 2) void app.get(LeaderService).stepDown();
    }
  })();
  await expect(reading).rejects.toMatchObject({ code: 'LEADER_TERM_OVER' });
  expect(seen).toEqual([1, 2]);
});
