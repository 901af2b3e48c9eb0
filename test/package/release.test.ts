/** What a release consists of: the changelog, the checks before it, the bill of materials, and the files of GitHub. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { loadYaml } from '@kubernetes/client-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from './consumer.js';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-release-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(file: string, text: string): Promise<void> {
  await mkdir(join(folder, file, '..'), { recursive: true });
  await writeFile(join(folder, file), text);
}

const changeset = (id: string): string => `.changeset/${id}.md`;

describe('the changelog', () => {
  it('has a page for the first release, and an item for each later change', async () => {
    await cp('scripts/changelog.mjs', join(folder, 'scripts/changelog.mjs'));
    await cp('.changeset/config.json', join(folder, '.changeset/config.json'));
    await write('package.json', '{ "name": "nestjs-leader", "version": "0.0.0" }');
    await write('package-lock.json', '{}');
    await write('CHANGELOG.md', '# nestjs-leader\n');
    await write(
      changeset('1.0.0'),
      "---\n'nestjs-leader': major\n---\n\nThe first.\n\n#### Nest\n\n- A module.\n",
    );
    await write(changeset('later'), "---\n'nestjs-leader': patch\n---\n\nA sentence\nof two lines.\n");
    const git = (...args: string[]): void => {
      const author = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
      execFileSync('git', [...author, ...args], { cwd: folder });
    };
    git('init', '--quiet', '--initial-branch=main');
    git('add', '.');
    git('commit', '--quiet', '--message=all');
    await run(folder, process.execPath, [resolve('node_modules/@changesets/cli/bin.js'), 'version']);
    expect(await readFile(join(folder, 'CHANGELOG.md'), 'utf8')).toBe(
      '# nestjs-leader\n\n## 1.0.0\n\n### Major Changes\n\nThe first.\n\n#### Nest\n\n- A module.\n\n' +
        '### Patch Changes\n\n- A sentence\n  of two lines.\n',
    );
    expect(await readdir(join(folder, '.changeset'))).toEqual(['config.json']);
  });
});

describe('npm run release:check', () => {
  const HERE = 'acme/nestjs-leader';
  const released = {
    'package.json': JSON.stringify({ version: '1.2.3', repository: `github:${HERE}` }),
    '.changeset/README.md': '',
    'CHANGELOG.md': '# nestjs-leader\n\n## 1.2.3\n\n- Something.\n',
  };

  const check = async (files: Record<string, string>, tag: string): Promise<ReturnType<typeof spawnSync>> => {
    for (const [file, text] of Object.entries(files)) await write(file, text);
    const env = { ...process.env, GITHUB_REPOSITORY: HERE, GITHUB_REF_NAME: tag };
    const script = resolve('scripts/check-release.mjs');
    return spawnSync(process.execPath, [script], { cwd: folder, env, encoding: 'utf8' });
  };

  it.each([
    ['in short', `github:${HERE}`],
    ['as npm writes it', { type: 'git', url: `git+https://github.com/${HERE}.git` }],
    ['as an address', `https://github.com/${HERE}`],
  ])('passes for the tag of the version, with the repository %s', async (_how, repository) => {
    const packageJson = JSON.stringify({ version: '1.2.3', repository });
    const { status, stderr } = await check({ ...released, 'package.json': packageJson }, 'v1.2.3');
    expect([stderr, status]).toEqual(['', 0]);
  });

  it.each([
    [
      'no repository',
      { 'package.json': '{ "version": "1.2.3" }' },
      'v1.2.3',
      /has the repository undefined, and this is 'acme\/nestjs-leader': .*`npm pkg set repository=github:acme\/nestjs-leader`/,
    ],
    [
      'another repository',
      { 'package.json': '{ "version": "1.2.3", "repository": "github:acme/other" }' },
      'v1.2.3',
      /has the repository 'github:acme\/other'/,
    ],
    ['the tag of another version', {}, 'v1.2.4', /The tag is 'v1\.2\.4', .* 1\.2\.3: tag 'v1\.2\.3'/],
    [
      'a changeset that is left',
      { [changeset('late')]: '' },
      'v1.2.3',
      /are left \(late\.md\): run `npm run/,
    ],
    ['no entry in the changelog', { 'CHANGELOG.md': '# nestjs-leader\n' }, 'v1.2.3', /no entry '## 1\.2\.3'/],
  ])('refuses %s', async (_what, files, tag, message) => {
    const { status, stderr } = await check({ ...released, ...files }, tag);
    expect(stderr).toMatch(message);
    expect(String(stderr).trim().split('\n')).toHaveLength(1);
    expect(status).toBe(1);
  });
});

describe('packages that are put into dist', () => {
  const packagesIn = async (modules: readonly string[]): Promise<unknown> => {
    const chunks = [{ modules: Object.fromEntries(modules.map((path) => [path, {}])) }, { type: 'asset' }];
    const program = `
      import { packagesIn } from './scripts/third-party.mjs';
      console.log(JSON.stringify(packagesIn(${JSON.stringify(chunks)})));`;
    return JSON.parse(await run('.', process.execPath, ['--input-type=module', '--eval', program]));
  };

  it('are found by their modules, with their licences', async () => {
    const modules = ['build/lib/index.js', 'node_modules/rxjs/dist/a.js', 'node_modules/rxjs/dist/b.js'];
    expect(
      await packagesIn([...modules, 'node_modules/@eslint/js/src/index.js'].map((path) => resolve(path))),
    ).toEqual([
      expect.objectContaining({
        name: 'rxjs',
        license: 'Apache-2.0',
        text: expect.stringContaining('Apache License'),
      }),
      expect.objectContaining({ name: '@eslint/js', license: 'MIT' }),
    ]);
  });

  it('have the terms of MIT if they have no licence file, and are refused with another licence or none', async () => {
    const bare = { name: 'bare', version: '1.0.0', author: 'Ada' };
    const module = join(folder, 'node_modules/bare/index.js');
    await write('node_modules/bare/package.json', JSON.stringify({ ...bare, license: 'MIT' }));
    expect(await packagesIn([module])).toEqual([
      expect.objectContaining({
        license: 'MIT',
        text: expect.stringMatching(/^Copyright \(c\) Ada\n\nPermission is hereby granted/),
      }),
    ]);
    await write('node_modules/bare/package.json', JSON.stringify({ ...bare, license: 'Apache-2.0' }));
    await expect(packagesIn([module])).rejects.toThrow(
      'bare is bundled without the text of its licence, Apache-2.0',
    );
    await write('node_modules/bare/package.json', JSON.stringify(bare));
    await expect(packagesIn([module])).rejects.toThrow('bare is bundled but names no licence');
  });
});

it('the bill of materials has the package, its licence, and what is shipped with it', async () => {
  const sbom = JSON.parse(await run('.', process.execPath, ['scripts/sbom.mjs'])) as {
    bomFormat: string;
    metadata: { component: unknown };
    components: { name: string }[];
    dependencies: unknown;
  };
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  const bundled = JSON.parse(await readFile('build/bundled.json', 'utf8')) as {
    name: string;
    version: string;
  }[];
  const itself = `nestjs-leader@${version}`;
  expect(sbom.bomFormat).toBe('CycloneDX');
  expect(sbom.metadata.component).toMatchObject({
    'bom-ref': itself,
    name: 'nestjs-leader',
    version,
    type: 'library',
    purl: `pkg:npm/${itself}`,
    licenses: [{ license: { id: 'MIT' } }],
  });
  expect(sbom.components.map(({ name }) => name).sort()).toEqual(bundled.map(({ name }) => name).sort());
  const refs = bundled.map((each) => `${each.name}@${each.version}`);
  expect(sbom.dependencies).toContainEqual({ ref: itself, dependsOn: expect.arrayContaining(refs) });
});

describe('the files of GitHub', () => {
  interface Job {
    readonly uses?: string;
    readonly needs?: string;
    readonly steps?: readonly { readonly uses?: string; readonly run?: string }[];
    readonly 'timeout-minutes'?: number;
  }
  interface Workflow {
    readonly name: string;
    readonly permissions: object;
    readonly jobs: Readonly<Record<string, Job>>;
  }

  const yaml = async <T>(file: string): Promise<T> => loadYaml(await readFile(join('.github', file), 'utf8'));
  const workflow = (name: string): Promise<Workflow> => yaml(`workflows/${name}.yml`);
  const commandsOf = ({ jobs }: Workflow): string[] =>
    Object.values(jobs).flatMap(({ steps = [] }) => steps.flatMap((step) => step.run ?? []));

  it.each(['ci', 'release', 'docs'])(
    '%s: pinned actions, few permissions, scripts that exist',
    async (name) => {
      const text = await readFile(`.github/workflows/${name}.yml`, 'utf8');
      for (const [, uses = ''] of text.matchAll(/uses: (.*)$/gm))
        expect(uses).toMatch(
          /^(\.\/\.github\/workflows\/\w+\.yml|[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/,
        );

      const parsed = await workflow(name);
      expect(parsed.permissions).toEqual({ contents: 'read' });
      for (const { uses, 'timeout-minutes': timeout } of Object.values(parsed.jobs))
        expect(uses ?? timeout).toBeDefined();

      const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: object };
      for (const command of commandsOf(parsed)) {
        const [, script] = /^npm run (?:--silent )?([\w:]+)/.exec(command) ?? [];
        if (script !== undefined) expect(Object.keys(scripts)).toContain(script);
        if (command.startsWith('.')) expect(existsSync(command)).toBe(true);
      }
    },
  );

  it('CI runs .ci/run and nothing else, and a release publishes only after it', async () => {
    expect(commandsOf(await workflow('ci'))).toEqual(['.ci/run']);
    const release = await workflow('release');
    expect(release.jobs['test']?.uses).toBe('./.github/workflows/ci.yml');
    expect(release.jobs['publish']?.needs).toBe('test');
    const commands = commandsOf(release);
    const published = commands.indexOf('npm publish');
    for (const before of ['npm run release:check', 'npm run release:audit'])
      expect(commands.slice(0, published)).toContain(before);
  });

  it('the forms ask for what is needed, each field once', async () => {
    interface Form {
      readonly name: string;
      readonly description: string;
      readonly body: readonly { readonly type: string; readonly id?: string; readonly attributes: object }[];
    }
    const fieldsOf = async (name: string): Promise<string[]> => {
      const form = await yaml<Form>(`ISSUE_TEMPLATE/${name}.yml`);
      expect(form).toMatchObject({ name: expect.any(String), description: expect.any(String) });
      return form.body.flatMap(({ type, id }) => (type === 'markdown' ? [] : String(id)));
    };
    expect(await fieldsOf('bug')).toEqual(['what', 'versions', 'options', 'log', 'doctor', 'repeat']);
    expect(await fieldsOf('feature')).toEqual(['need', 'today', 'proposal']);
    expect(await yaml('ISSUE_TEMPLATE/config.yml')).toEqual({ blank_issues_enabled: false });
    expect(await yaml('dependabot.yml')).toMatchObject({ version: 2 });
  });
});
