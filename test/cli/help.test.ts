/** The help is complete, the manifests are those of the documentation, and the shell completes what the help shows. */
import { readFile } from 'node:fs/promises';
import { loadAllYaml } from '@kubernetes/client-node';
import { describe, expect, it } from 'vitest';
import { programFor } from '../../lib/cli/program.js';
import type { Terminal } from '../../lib/cli/terminal.js';
import { examplesIn } from '../package/consumer.js';
import { runCommand } from './script-terminal.js';

const program = programFor({} as Terminal, () => undefined);
const commands = program.commands;
const names = commands.map((command) => command.name());

it('has all commands', () => {
  expect(names).toEqual([
    ...['status', 'watch', 'doctor', 'step-down', 'rbac', 'manifest', 'serve', 'completion'],
  ]);
});

describe.each(commands.map((command) => [command.name(), command] as const))('%s', (name, command) => {
  it('says what each option and argument is', () => {
    expect(command.description()).toMatch(/\.$/);
    const described = [...command.options, ...command.registeredArguments];
    expect(described.filter(({ description }) => description === '')).toEqual([]);
  });

  it('has an example that the parser accepts, and its exit codes', async () => {
    const { out, code } = await runCommand(['help', name]);
    expect(code).toBe(0);
    expect(out).toMatch(/Exit codes:\n {2}0 {2}/);
    const examples = [...out.matchAll(/^ {2}\$ npx nestjs-leader ([^|>\n]*)/gm)].map(([, text]) =>
      String(text).trim(),
    );
    expect(examples).not.toEqual([]);
    for (const example of examples) {
      // Parsed as far as the help option, which ends it.
      const parsed = await runCommand([...example.split(' '), '--help']);
      expect(parsed).toMatchObject({ code: 0, err: '' });
    }
  });

  it('is in the documentation, with every option', async () => {
    const page = await readFile('docs/command-line.md', 'utf8');
    expect(page).toContain(`## ${name}\n`);
    const missing = command.options
      .map(({ long }) => String(long))
      .filter((long) => !page.includes(`\`${long}`));
    expect(missing).toEqual([]);
  });
});

it('prints the manifest of docs/operations.md, for the options that stand below it', async () => {
  const shown = loadAllYaml((await examplesIn('docs/operations.md')).get('billing.yaml') ?? '') as unknown[];
  const options = '--events --leader-pod-labels role=leader --takeover podStatus';
  const { out } = await runCommand(
    `manifest billing --image registry.example.com/billing:1.0.0 ${options}`.split(' '),
  );
  const printed = loadAllYaml(out) as unknown[];
  expect(printed).toEqual(shown);
  const { out: rbac } = await runCommand(`rbac billing ${options}`.split(' '));
  expect(loadAllYaml(rbac)).toEqual(shown.slice(0, 3));
});

it('prints what docs/command-line.md shows', async () => {
  const shown = (await examplesIn('docs/command-line.md', 'printed')).get('rbac.yaml') ?? '';
  const [command = '', ...lines] = shown.split('\n');
  const { out } = await runCommand(command.replace('$ npx nestjs-leader ', '').split(' '));
  expect(lines.join('\n')).toBe(out);
});

it('prints the Role of each Lease, the namespace and the names that are given', async () => {
  const { out } = await runCommand('rbac mailer --slots 3 -n shop --app mails'.split(' '));
  const [account, role, binding] = loadAllYaml(out) as {
    metadata: object;
    rules?: { resources: string[]; resourceNames?: string[] }[];
    subjects?: object[];
  }[];
  expect(account?.metadata).toEqual({ name: 'mails', namespace: 'shop' });
  expect(role?.rules?.[0]?.resourceNames).toEqual(['mailer-0', 'mailer-1', 'mailer-2']);
  expect(binding?.subjects).toEqual([{ kind: 'ServiceAccount', name: 'mails', namespace: 'shop' }]);
  const [, ofCandidates] = loadAllYaml((await runCommand('rbac mailer --coordinated'.split(' '))).out) as {
    rules?: { resources: string[] }[];
  }[];
  expect(ofCandidates?.rules?.[1]?.resources).toEqual(['leasecandidates']);
});

it.each(['true', '1', '1e3', '0x1f', 'yes', 'null', 'leader'])(
  'labels are strings: role=%s',
  async (value) => {
    const { out } = await runCommand(
      `manifest billing --image i --leader-pod-labels role=${value},a.b/c=d`.split(' '),
    );
    const service = (loadAllYaml(out) as { kind: string; spec: object }[]).at(-1);
    expect(service).toMatchObject({ kind: 'Service', spec: { selector: { role: value, 'a.b/c': 'd' } } });
  },
);

it.each(['true', '123', '1e3', 'null', '0x1f', 'no', 'y'])('names are strings: %s', async (name) => {
  const { out } = await runCommand(`manifest ${name} --image ${name} -n ${name}`.split(' '));
  const objects = loadAllYaml(out) as { kind: string; metadata: object; spec: object }[];
  for (const { metadata, kind } of objects)
    expect(metadata).toEqual({ name: kind.includes('Role') ? `${name}-leader` : name, namespace: name });
  expect(objects[2]).toMatchObject({
    subjects: [{ name, namespace: name }],
    roleRef: { name: `${name}-leader` },
  });
  expect(objects[3]?.spec).toMatchObject({
    selector: { matchLabels: { app: name } },
    template: { spec: { serviceAccountName: name, containers: [{ name, image: name }] } },
  });
});

it('says that there is no such command', async () => {
  expect((await runCommand(['help', 'nope'])).err).toContain("there is no command 'nope'");
});

it.each([
  'manifest billing',
  'manifest billing --image {x}',
  'manifest billing --image i --replicas 0',
  'manifest billing --image i --port 0',
  'manifest billing --image i --port 65536',
  'manifest a.b --image i',
  `manifest ${'a'.repeat(64)} --image i`,
  `manifest ${'a'.repeat(57)} --image i --leader-pod-labels role=leader`,
  'manifest 1a --image i --leader-pod-labels role=leader',
  'manifest billing --image i --app a.b',
  'help nope',
  'rbac billing --coordinated --also-lease b',
  'manifest billing --image i --coordinated --takeover podStatus',
  'rbac',
  'serve --port 70000',
  'completion tcsh',
])('a wrong command line is refused: %s', async (command) => {
  const { code, err, out } = await runCommand(command.split(' '));
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^error: /);
});
