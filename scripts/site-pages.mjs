/**
 * Makes the pages of the documentation site that nobody writes, in build/site-pages: `api/`, from the doc comments of
 * everything that package.json exports, and one that shows a recorded run of the demo, if there is one. A link of a doc
 * comment that leads nowhere ends it with exit code 1. `npm run docs:build` and `docs:dev` begin with it.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Application, Comment, PageEvent } from 'typedoc';
import { load as markdown } from 'typedoc-plugin-markdown';

const OUT = 'build/site-pages';
/** What `npm run demo` recorded, a page that needs nothing else. */
const RECORDED_RUN = 'docs/demo/run.html';

rmSync(OUT, { recursive: true, force: true });
mkdirSync(`${OUT}/public`, { recursive: true });
await makeApiPages();
if (existsSync(RECORDED_RUN)) showRecordedRun();

async function makeApiPages() {
  const entryPoints = entryPointsOfThePackage();
  const app = await Application.bootstrapWithPlugins({
    entryPoints: [...entryPoints.keys()],
    tsconfig: 'tsconfig.lib.json',
    plugin: [markdown],
    readme: 'none',
    name: 'API',
    excludeInternal: true,
    excludePrivate: true,
    excludeExternals: true,
    disableSources: true,
    treatWarningsAsErrors: true,
    // A type that is not exported is shown as it is written. It has no page, and needs none.
    validation: { invalidLink: true, notExported: false },
    logLevel: 'Warn',
    out: `${OUT}/api`,
    entryFileName: 'index',
    hidePageHeader: true,
    hideBreadcrumbs: true,
    useCodeBlocks: true,
    expandObjects: true,
    indexFormat: 'table',
    parametersFormat: 'table',
    sortEntryPoints: false,
    navigationJson: `${OUT}/api.json`,
    navigationModel: { excludeFolders: true },
    pageTitleTemplates: { index: 'API', module: '{name}', member: '{name}' },
  });
  const project = await app.convert();
  if (project === undefined) process.exit(1);
  // Modules are called after their files, but people import them by another name. The first comment tells what they are.
  for (const module of project.children ?? []) {
    const file = project.files.getReflectionPath(module);
    const name = [...entryPoints].find(([entry]) => file?.endsWith(`/${entry}`))?.[1];
    if (name === undefined) throw new Error(`No export of package.json leads to ${String(file)}.`);
    module.name = name;
    const comment = /^\/\*\* `.*?`: (.*?) \*\//s.exec(readFileSync(file, 'utf8'))?.[1];
    if (comment === undefined) throw new Error(`${file} must begin with a comment: what is ${name}?`);
    const text = comment.charAt(0).toUpperCase() + comment.slice(1).replace(/\n \* ?/g, '\n');
    module.comment = new Comment([{ kind: 'text', text }]);
  }
  for (const reflection of Object.values(project.reflections)) {
    // A parameter that the function takes apart at once.
    if (reflection.name === '__namedParameters') reflection.name = 'options';
    for (const part of [
      ...(reflection.comment?.summary ?? []),
      ...(reflection.comment?.blockTags ?? []).flatMap(({ content }) => content),
    ])
      if (part.kind === 'text') part.text = part.text.replace(/\bdocs\/[\w/-]+\.md\b/g, '[$&](/$&)');
  }
  app.validate(project);
  // The headings of a getter's signature and of the class that a member comes from say nothing to a reader.
  app.renderer.on(PageEvent.END, (page) => {
    page.contents = page.contents
      ?.replace(/^#### Get Signature\n\n/gm, '')
      .replace(/^#+ Inherited from\n\n.*\n/gm, '');
  });
  await app.generateOutputs(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
}

/** Under which name users import each source: `lib/testing.ts` as `nestjs-leader/testing`. */
function entryPointsOfThePackage() {
  const { name, exports } = JSON.parse(readFileSync('package.json', 'utf8'));
  return new Map(
    Object.entries(exports)
      .filter(([, target]) => target.default?.types !== undefined)
      .map(([path, target]) => [
        target.default.types.replace('./dist/esm/', 'lib/').replace('.d.ts', '.ts'),
        name + path.slice(1),
      ]),
  );
}

function showRecordedRun() {
  copyFileSync(RECORDED_RUN, `${OUT}/public/run.html`);
  writePage(
    'see-it-run',
    `---
aside: false
---

# See it run

Three replicas of an application on one lease, recorded from \`npm run demo\`. The leader is stopped, killed and frozen; each
time another replica leads. <a href="run.html" target="_self">Open the recording alone</a>.

<iframe class="recorded-run" src="run.html" title="A recorded run of the demo: three replicas and their terms"></iframe>

In a clone, \`npm ci && npm run demo\` shows the same live, with buttons to stop, kill and freeze replicas.
`,
  );
}

function writePage(name, text) {
  writeFileSync(`${OUT}/${name}.md`, text);
}
