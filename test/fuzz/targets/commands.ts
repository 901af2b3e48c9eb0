/** Answers of a server to the command line: whatever they contain, the terminal shows text, and no more than a few lines. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../../lib/cli/program.js';
import { kubeconfigText } from '../../rig/users.js';
import { ScriptedServer, type Script } from '../../kubernetes/scripted-server.js';
import type { Target } from '../fuzzing.js';
import { TOKEN, checkPrototypes, checkSecrets } from '../promises.js';
import { answerIn } from './answer-text.js';

const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-fuzz-commands-'));
const kubeconfig = join(folder, 'config');
let script: Script;
let server: Promise<ScriptedServer> | undefined;

async function started(): Promise<void> {
  server ??= ScriptedServer.start((...parts) => script(...parts));
  const { url } = await server;
  writeFileSync(kubeconfig, kubeconfigText({ server: url }, { token: TOKEN }, 'ours'));
}

const COMMANDS = [
  'status billing',
  'status --json',
  'status -A',
  'watch billing',
  'watch --json',
  'doctor billing',
  'doctor billing --pod billing-1',
];
/** The doctor sends about thirty. A watch that fails is opened again, later. */
const MOST_REQUESTS = 60;

export const commands: Target = {
  name: 'commands',
  alsoFrom: ['answers'],
  runsPerSecond: 40,
  async run(input) {
    await started();
    const answer = answerIn(input);
    let pages = 0;
    let requests = 0;
    let stop = new AbortController();
    script = (request, response) => {
      requests += 1;
      if (requests >= MOST_REQUESTS) stop.abort();
      // The second page of a list is the last.
      const isLast = new URL(request.url, 'http://x').searchParams.has('continue') && pages++ > 0;
      const text = isLast ? '{"metadata":{"resourceVersion":"1"}}' : answer.text;
      const status = answer.status >= 200 && answer.status <= 599 ? answer.status : 200;
      response.writeHead(status, headersOf(answer.headers));
      if (request.url.endsWith('accessreviews') && mayAll) {
        response.end('{"kind":"SelfSubjectAccessReview","status":{"allowed":true}}');
        return;
      }
      // A watch of the doctor would wait for the events of its writes.
      const isEvent = request.url.includes('watch=true') && asEvents;
      // What comes later depends on time: the doctor observes for seconds, a watch is opened again.
      const { signal } = stop;
      const end = (): void => {
        if (signal === stop.signal) stop.abort();
      };
      // The command shows what the watch has told before it is stopped; no check depends on how much that is.
      if (request.url.includes('watch=true')) setTimeout(end, 20);
      response.end(isEvent ? `${JSON.stringify(eventOf(text))}\n` : text);
    };
    let [asEvents, mayAll] = [true, false];
    for (const command of COMMANDS) {
      [pages, requests, stop] = [0, 0, new AbortController()];
      [asEvents, mayAll] = [!command.startsWith('doctor'), command.includes('--pod')];
      let shown = '';
      const show = (text: string): void => {
        shown += text;
      };
      const terminal = {
        ...{ write: show, warn: show, isInteractive: false, columns: undefined, rows: undefined, env: {} },
        ask: () => Promise.resolve(''),
        signal: stop.signal,
      };
      await run(terminal, [...command.split(' '), '--kubeconfig', kubeconfig]);
      checkShown(command, shown);
    }
    checkPrototypes();
  },
  async close() {
    await (await server)?.stop();
    server = undefined;
    rmSync(folder, { recursive: true });
  },
};

/** The headers that a command reads. */
function headersOf(headers: Readonly<Record<string, unknown>>): Record<string, string> {
  const given = Object.entries({ date: headers['date'], 'retry-after': headers['retry-after'] });
  // Node's server sends no others; those are the subject of another target.
  return Object.fromEntries(
    given.filter(([, value]) => typeof value === 'string' && /^[\t\x20-\x7e]*$/.test(value)),
  ) as Record<string, string>;
}

function eventOf(text: string): object {
  try {
    return { type: 'MODIFIED', object: JSON.parse(text) as unknown };
  } catch {
    return { type: 'MODIFIED', object: text };
  }
}

function checkShown(command: string, shown: string): void {
  checkSecrets(shown);
  if (/(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(shown))
    throw new Error(`${command} shows a terminal ${JSON.stringify(shown.slice(0, 500))}`);
  if (BUGS.test(shown)) throw new Error(`${command} shows a bug: ${shown.slice(0, 1_000)}`);
}

/** What the errors of Node say. */
const BUGS =
  /\b(?:TypeError|RangeError|SyntaxError|Unexpected (?:token|end)|is not (?:valid JSON|iterable|a function)|Invalid time|Cannot (?:read|destructure|convert))/;
