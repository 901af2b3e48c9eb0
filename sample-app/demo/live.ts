import type { Fleet } from './fleet.js';
import { machineNow } from './machine-clock.js';
import { picture } from './screen.js';
import { showTime } from './show-time.js';

const HELP =
  'Choose a replica with 1, 2, 3; then  s stop (SIGTERM)  k kill (SIGKILL)  f freeze/continue  r restart   ·   q quit';
const DRAW_EVERY_MS = 200;

/** Shows the fleet and reads the keyboard until the user quits. Without a terminal it prints each transition. */
export async function runLive(fleet: Fleet): Promise<void> {
  for (const place of [0, 1, 2]) fleet.start(place);
  const stopShowing = process.stdout.isTTY ? draw(() => chosen, fleet) : print(fleet);
  let chosen = 0;
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.resume();
    process.stdin.on('data', (keys: Buffer) => {
      for (const key of keys.toString('utf8')) {
        if (key === 'q' || key === '\u0003') resolve();
        else if (['1', '2', '3'].includes(key)) chosen = Number(key) - 1;
        else obey(fleet, key, chosen);
      }
    });
  });
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  process.stdin.pause();
  stopShowing();
  process.stdout.write('Stopping the replicas …\n');
  await fleet.stopAll();
}

function obey(fleet: Fleet, key: string, place: number): void {
  const replica = fleet.replicas[place];
  if (replica === undefined) return;
  const note = (text: string): void => {
    fleet.chronicle.note(machineNow(), `${text} ${replica.identity}`);
  };
  if (key === 'r' && replica.state === 'gone') {
    fleet.start(place);
  } else if (key === 's' && replica.state !== 'gone') {
    note('SIGTERM to');
    void replica.stop();
  } else if (key === 'k' && replica.state !== 'gone') {
    note('SIGKILL to');
    void replica.kill();
  } else if (key === 'f' && replica.state === 'running') {
    note('SIGSTOP to');
    replica.freeze();
  } else if (key === 'f' && replica.state === 'frozen') {
    note('SIGCONT to');
    replica.thaw();
  }
}

function draw(chosen: () => number, fleet: Fleet): () => void {
  const timer = setInterval(() => {
    const keys = process.stdin.isTTY ? `\n\n${HELP}\nChosen: ${String(chosen() + 1)}\n` : '\n';
    process.stdout.write(
      `\u001B[2J\u001B[Hnestjs-leader: three replicas, one leader\n\n${picture(fleet)}${keys}`,
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
