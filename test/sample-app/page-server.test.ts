/** Who may look at the page of the demo and press its buttons, and what the page is told. */
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PageServer } from '../../sample-app/demo/page-server.js';
import type { Command, LiveRun, RunEvent } from '../../sample-app/demo/page/recording.js';

const run: LiveRun = {
  format: 1,
  source: 'demo',
  title: 'a run',
  about: '',
  leaseDurationMs: 6_000,
  renewDeadlineMs: 4_000,
  events: [{ at: 1, lane: 'replica-1', kind: 'lane', text: 'nestjs-leader' }],
  now: 2,
  canCut: true,
};

let server: PageServer;
let obeyed: Command[];
let tell: (event: RunEvent) => void;

beforeEach(async () => {
  obeyed = [];
  server = await PageServer.start({
    live: () => run,
    recording: () => run,
    subscribe: (listener) => {
      tell = listener;
      return () => undefined;
    },
    obey: (command) => {
      if (command.do === 'startPollers') throw new Error('The pollers have been started already.');
      obeyed.push(command);
    },
  });
});
afterEach(() => server.stop());

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

/** Sends a request with these headers, which `fetch` would not let us choose. */
function ask(method: string, path: string, headers: Record<string, string>, body = ''): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(new URL(path, server.url), { method, headers }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
      response.on('end', () => {
        resolve({ status: response.statusCode, body: text });
      });
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

function host(): string {
  return new URL(server.url).host;
}

function command(headers: Record<string, string>, body: string): Promise<Answer> {
  return ask('POST', '/commands', headers, body);
}

const kill = JSON.stringify({ do: 'kill', lane: 'replica-1' });

describe('a command', () => {
  it('from the page itself is obeyed', async () => {
    expect(await command({ Origin: `http://${host()}` }, kill)).toEqual({ status: 204, body: '' });
    expect(obeyed).toEqual([{ do: 'kill', lane: 'replica-1' }]);
  });

  it.each([
    ['without an origin', {}],
    ['from the page of another site', { Origin: 'https://example.com' }],
    ['from a page on another port of this machine', { Origin: 'http://127.0.0.1:1' }],
    ['from a page in a sandbox or a file', { Origin: 'null' }],
  ])('%s is refused', async (_, headers) => {
    const { status, body } = await command(headers, kill);
    expect(status).toBe(403);
    expect(body).toContain(`it must be http://${host()}.`);
    expect(obeyed).toEqual([]);
  });

  it('by a name that was made to lead to this machine is refused', async () => {
    const { port } = new URL(server.url);
    const name = `attacker.example:${port}`;
    const { status, body } = await command({ Host: name, Origin: `http://${name}` }, kill);
    expect([status, body]).toEqual([
      403,
      `The Host header is "${name}": it must be 127.0.0.1:${port} or localhost:${port}.`,
    ]);
    expect(obeyed).toEqual([]);
  });

  it.each([
    ['{', 400, 'The command is not JSON.'],
    ['null', 400, /^A command is \{ "do"/],
    ['{"do":"explode","lane":"replica-1"}', 400, /^A command is \{ "do"/],
    ['{"do":"kill"}', 400, /^A command is \{ "do"/],
    ['x'.repeat(2_000), 400, 'The command is too long.'],
    ['{"do":"startPollers"}', 409, 'The pollers have been started already.'],
  ])('%j is answered with %i', async (text, status, message) => {
    const answer = await command({ Origin: `http://${host()}` }, text);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatch(message);
    expect(obeyed).toEqual([]);
  });
});

describe('the run', () => {
  it('is told from its beginning, and then as it goes on', async () => {
    const response = await fetch(new URL('/events', server.url));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const read = async (): Promise<string> => new TextDecoder().decode((await reader.read()).value);
    expect(await read()).toBe(`event: run\ndata: ${JSON.stringify(run)}\n\n`);
    const event: RunEvent = { at: 3, lane: 'replica-1', kind: 'note', text: 'it goes on' };
    tell(event);
    expect(await read()).toBe(`data: ${JSON.stringify(event)}\n\n`);
    await reader.cancel();
  });

  it('is not told to another site, nor to a name that was made to lead to this machine', async () => {
    expect((await ask('GET', '/events', { Origin: 'https://example.com' })).status).toBe(403);
    expect((await ask('GET', '/events', { Host: 'attacker.example' })).status).toBe(403);
  });

  it('has no other pages', async () => {
    expect((await ask('GET', '/../package.json', {})).status).toBe(404);
    expect((await ask('GET', '/commands', {})).status).toBe(404);
  });
});
