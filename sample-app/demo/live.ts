import type { DemoRun } from './demo-run.js';
import type { Fleet } from './fleet.js';
import type { Action } from './page/recording.js';
import { picture } from './screen.js';
import { showTime } from './show-time.js';

const HELP =
  'Choose a replica with 1, 2, 3; then  s stop (SIGTERM)  k kill (SIGKILL)  e crash by an exception\n' +
  'f freeze/continue  c cut from the API server/mend  r restart   ·   q quit';
const DRAW_EVERY_MS = 200;

/** What each key does. Of two actions, the one that is possible. */
const keys: Readonly<Record<string, readonly Action[]>> = {
  s: ['stop'],
  k: ['kill'],
  e: ['crash'],
  f: ['freeze', 'thaw'],
  c: ['cut', 'mend'],
  r: ['restart'],
};

/** Shows the fleet and reads the keyboard until the user quits. Without a terminal it prints each transition. */
export async function runLive({ ours }: DemoRun, pageUrl: string): Promise<void> {
  ours.startAll();
  let chosen = 0;
  const stopShowing = process.stdout.isTTY ? draw(() => chosen, ours, pageUrl) : print(ours);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.resume();
    process.stdin.on('data', (typed: Buffer) => {
      for (const key of typed.toString('utf8')) {
        if (key === 'q' || key === '\u0003') resolve();
        else if (['1', '2', '3'].includes(key)) chosen = Number(key) - 1;
        else obey(ours, key, chosen);
      }
    });
  });
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  process.stdin.pause();
  stopShowing();
}

function obey(fleet: Fleet, key: string, place: number): void {
  const possible = (keys[key] ?? []).find((action) => fleet.obstacleTo(action, place) === undefined);
  if (possible !== undefined) void fleet.act(possible, place);
}

function draw(chosen: () => number, fleet: Fleet, pageUrl: string): () => void {
  const timer = setInterval(() => {
    const help = process.stdin.isTTY ? `\n\n${HELP}\nChosen: ${String(chosen() + 1)}\n` : '\n';
    process.stdout.write(
      `\u001B[2J\u001B[Hnestjs-leader: three replicas, one leader\nPage: ${pageUrl}\n\n${picture(fleet)}${help}`,
    );
  }, DRAW_EVERY_MS);
  return () => {
    clearInterval(timer);
  };
}

function print(fleet: Fleet): () => void {
  fleet.chronicle.onTransition(({ at, text }) => {
    process.stdout.write(`${showTime(at)}  ${text}\n`);
  });
  return () => undefined;
}
