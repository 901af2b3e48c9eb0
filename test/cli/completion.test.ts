/** The scripts that complete the command in a shell: the words they offer, and that they run nothing that was typed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

/** Shells that not every machine has. */
const has = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;

describe.skipIf(!has('fish'))('fish completes (skipped where fish is not installed)', () => {
  it.each([
    ['st', ['status', 'step-down']],
    ['doctor --timing ', ['fast', 'patient', 'standard']],
    ['status --all', ['--all-namespaces']],
    ['completion ', ['bash', 'fish', 'zsh']],
  ])('%j', (typed, expected) => {
    const { stdout } = spawnSync(
      'fish',
      [
        '--no-config',
        '-c',
        `source ${join(folder, 'fish')}; source ${join(folder, 'fish')}; complete -C 'nestjs-leader ${typed}'`,
      ],
      { encoding: 'utf8', env: { ...process.env, HOME: folder } },
    );
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split('\t')[0])
        .sort(),
    ).toEqual(expected);
  });
});

it.skipIf(!has('zsh'))('zsh accepts its script (skipped where zsh is not installed)', () => {
  const { stderr, status } = spawnSync('zsh', ['-n', join(folder, 'zsh')], { encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
});
