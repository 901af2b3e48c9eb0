/** The scripts that complete the command in a shell: the words they offer, and that they run nothing that was typed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onPath } from '../rig/on-path.js';
import { runCommand } from './script-terminal.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-completion-'));
  for (const shell of ['bash', 'zsh', 'fish'])
    await writeFile(join(folder, shell), (await runCommand(['completion', shell])).out);
});
afterAll(() => rm(folder, { recursive: true }));

/** What bash offers for the last of these words, with the script sourced twice. */
function offered(...words: string[]): string[] {
  const script = `
    set -eu
    source "$0"
    source "$0"
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _nestjs_leader
    printf '%s\\n' "\${COMPREPLY[@]+"\${COMPREPLY[@]}"}"`;
  const args = ['--norc', '-c', script, join(folder, 'bash'), 'nestjs-leader', ...words];
  const { stdout, stderr, status } = spawnSync('bash', args, { cwd: folder, encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('bash completes', () => {
  it.each<[string[], string[]]>([
    [['st'], ['status', 'step-down']],
    [['status', '--all'], ['--all-namespaces']],
    [
      ['doctor', '--lea'],
      ['--lease-duration', '--leader-pod-labels'],
    ],
    [
      ['doctor', '--timing', ''],
      ['fast', 'standard', 'patient'],
    ],
    [['doctor', 'billing', '--timing', '=', 'f'], ['fast']],
    [
      ['doctor', 'billing', '--timing', '='],
      ['fast', 'standard', 'patient'],
    ],
    [['rbac', '--takeover', 'p'], ['podStatus']],
    [['help', 'wa'], ['watch']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish', '--help'],
    ],
    // The shell offers files then.
    [['status', '--kubeconfig', ''], []],
    [['status', '-n', ''], []],
    [['nope', ''], []],
  ])('%j: %j', (words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });

  it('runs nothing that was typed', () => {
    for (const typed of [
      '$(touch run)',
      '`touch run`',
      "';touch run;'",
      '"$(touch run)',
      '*',
      '--$(touch run)',
    ])
      expect(offered('status', typed)).toEqual([]);
    offered('$(touch run)', '');
    offered('status', '$(touch run)', '');
    expect(existsSync(join(folder, 'run'))).toBe(false);
  });
});

for (const shell of ['fish', 'zsh']) {
  if (onPath(shell) === undefined)
    it(`${shell} is not tested here: it is not installed`, () => {
      expect(process.env['REQUIRE_SHELLS'], 'CI requires zsh and fish').toBeUndefined();
    });
}

if (onPath('fish') !== undefined) {
  describe('fish completes', () => {
    it.each([
      ['st', ['status', 'step-down']],
      ['doctor --timing ', ['fast', 'patient', 'standard']],
      ['status --all', ['--all-namespaces']],
      ['completion ', ['bash', 'fish', 'zsh']],
    ])('%j', (typed, expected) => {
      const source = `source ${join(folder, 'fish')}`;
      const { stdout } = spawnSync(
        'fish',
        ['--no-config', '-c', `${source}; ${source}; complete -C 'nestjs-leader ${typed}'`],
        { encoding: 'utf8', env: { ...process.env, HOME: folder } },
      );
      const words = stdout.trim().split('\n');
      expect(words.map((line) => line.split('\t')[0]).sort()).toEqual(expected);
    });
  });
}

if (onPath('zsh') !== undefined) {
  it('zsh accepts its script', () => {
    const { stderr, status } = spawnSync('zsh', ['-n', join(folder, 'zsh')], { encoding: 'utf8' });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  });
}
