/** A signal ends a process as it would have without us, after we have acted. Each test is a process of its own. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const MODULE = new URL('../../../build/lib/kubernetes/exit/last-signals.js', import.meta.url).href;

/** Runs `steps`, sends itself SIGTERM, and tells what was printed, and how it ended. */
function end(steps: string): { printed: string[]; by: string | number | null } {
  const program = `
    import { heedSignals, ignoreSignals } from ${JSON.stringify(MODULE)};
    import { writeSync } from 'node:fs';
    const say = (text) => writeSync(1, text + '\\n');
    const heed = () => heedSignals(() => say('acted'));
    const listen = (name) => process.on('SIGTERM', () => { say(name); process.exit(5); });
    ${steps}
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => say('still here'), 60_000);`;
  const { stdout, signal, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  return { printed: stdout.split('\n').slice(0, -1), by: signal ?? status };
}

describe('SIGTERM', () => {
  it.each([
    ['alone: it acts, and the signal ends the process', 'heed();', ['acted'], 'SIGTERM'],
    ['a listener before: that alone is called', "listen('theirs'); heed();", ['theirs'], 5],
    ['a listener later: that alone is called', "heed(); listen('theirs');", ['theirs'], 5],
    [
      'a later listener sees no other, as some demand before they end the process',
      "heed(); listen('theirs'); say(String(process.listenerCount('SIGTERM')));",
      ['1', 'theirs'],
      5,
    ],
    ['ignored again: the signal ends the process', 'heed(); ignoreSignals();', [], 'SIGTERM'],
    ['heeded again: it acts', 'heed(); ignoreSignals(); heed();', ['acted'], 'SIGTERM'],
    [
      'a listener that has gone when this process leads again: it acts',
      "const theirs = () => say('theirs'); process.on('SIGTERM', theirs); heed(); ignoreSignals(); " +
        "process.off('SIGTERM', theirs); heed();",
      ['acted'],
      'SIGTERM',
    ],
    [
      'nothing is left behind',
      "heed(); ignoreSignals(); say(String(process.listenerCount('SIGTERM') + process.listenerCount('SIGINT')));",
      ['0'],
      'SIGTERM',
    ],
    [
      'SIGINT has a listener: SIGTERM is heeded',
      "process.on('SIGINT', () => {}); heed();",
      ['acted'],
      'SIGTERM',
    ],
  ])('%s', (_, steps, printed, by) => {
    expect(end(steps)).toEqual({ printed, by });
  });
});
