/**
 * The documentation site. The pages are the Markdown files of the repository, as they are read there: an address of the site
 * is the path of a file. README.md is the first page. `npm run docs:build` writes build/site.
 *
 *   DOCS_BASE   the path under which the site will be served (default: /)
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { defineConfig, type MarkdownOptions } from 'vitepress';
import { deadLinks } from './check-links.js';
import { contentsOf, contentsOfApi, titleOf, type ApiEntry, type Entry } from './contents.js';

const ROOT = resolve(import.meta.dirname, '../..');
const MADE = 'build/site-pages';
const PROJECT_PAGES = ['ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];

const base = `/${process.env['DOCS_BASE'] ?? ''}/`.replace(/\/+/g, '/');
const { name, version, description } = JSON.parse(read('package.json')) as Record<
  'name' | 'version' | 'description',
  string
>;
const [what = '', how = ''] = description.split(': ');
const hasRecordedRun = existsSync(resolve(ROOT, MADE, 'public/run.html'));
const seeItRun: Entry[] = hasRecordedRun ? [{ text: 'See it run', link: '/see-it-run' }] : [];

/** Queries of Prometheus, which the highlighter does not know. */
const promql: NonNullable<MarkdownOptions['languages']>[number] = {
  name: 'promql',
  scopeName: 'source.promql',
  repository: {},
  patterns: [
    { match: '#.*$', name: 'comment' },
    { match: '"[^"]*"', name: 'string' },
    { match: '\\b\\d+[smhdw]?\\b', name: 'constant.numeric' },
    { match: '\\b(\\w+(?=\\()|by|without|and|or|unless|on|ignoring)\\b', name: 'keyword' },
  ],
};

/** Three lanes, and a term in one of them. */
const icon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><g fill="none" stroke="#0f766e" stroke-linecap="round">' +
  '<path d="M2 4h12M2 12h12" opacity=".5"/><path d="M3 8h10" stroke-width="4"/></g></svg>';

function read(file: string): string {
  return readFileSync(resolve(ROOT, file), 'utf8');
}

/** Whether a file of the repository, by its path there, is a page of the site. */
function isPage(file: string): boolean {
  return (
    file === 'README.md' ||
    PROJECT_PAGES.includes(file) ||
    ((file.startsWith('docs/') || file.startsWith(`${MADE}/`)) && file.endsWith('.md'))
  );
}

/** README.md is the index of its folder here. */
function indexed(path: string): string {
  return path.replace(/(^|\/)README(?=\.md$)/, '$1index');
}

/** The anchor of a heading, as GitHub makes it, so that one link is right there and here. */
function slugify(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');
}

/**
 * Makes links between files of the repository links between pages. What is a file of the repository but no page is named, not
 * linked.
 */
const linkPages: NonNullable<MarkdownOptions['config']> = (markdown) => {
  markdown.core.ruler.push('link-pages', ({ tokens, env }) => {
    const { realPath } = env as { realPath?: string };
    if (realPath === undefined) return;
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const [path = '', anchor] = (token.attrGet('href') ?? '').split('#');
      if (token.type !== 'link_open' || path === '' || /^[a-z]+:|^\//.test(path)) continue;
      const target = relative(ROOT, resolve(dirname(realPath), path));
      if (!isPage(target) && existsSync(resolve(ROOT, target))) token.attrs = null;
      else token.attrSet('href', indexed(path) + (anchor === undefined ? '' : `#${anchor}`));
    }
  });
  // The first page has its title in the picture at its head.
  markdown.core.ruler.push('title-of-the-first-page', ({ tokens, env }) => {
    if ((env as { realPath?: string }).realPath === resolve(ROOT, 'README.md')) tokens.splice(0, 3);
  });
};

export default defineConfig({
  base,
  srcDir: ROOT,
  outDir: resolve(ROOT, 'build/site'),
  cacheDir: resolve(ROOT, 'build/site-cache'),
  srcExclude: ['!(docs|build)/**/*.md', 'build/!(site-pages)/**', `!(README|${PROJECT_PAGES.join('|')}).md`],
  rewrites: (page) => indexed(page.replace(`${MADE}/`, '')),
  vite: {
    publicDir: resolve(ROOT, MADE, 'public'),
    build: { chunkSizeWarningLimit: 1_500 },
    server: { watch: { ignored: ['**/dist/**', '**/test/**'] } },
  },

  lang: 'en',
  title: name,
  description,
  metaChunk: true,
  head: [['link', { rel: 'icon', href: `data:image/svg+xml,${encodeURIComponent(icon)}` }]],
  titleTemplate: `:title · ${name}`,
  markdown: {
    config: linkPages,
    anchor: { slugify },
    languages: [promql],
    // Colours that can be read on the grey of a block.
    theme: { light: 'github-light-high-contrast', dark: 'github-dark-default' },
  },
  transformPageData: (page) => {
    if (page.relativePath !== indexed('README.md')) return;
    page.title = what;
    page.frontmatter = {
      layout: 'home',
      hero: {
        name,
        text: what,
        tagline: how.charAt(0).toUpperCase() + how.slice(1),
        actions: [
          { theme: 'brand', text: 'Install', link: '#install' },
          ...seeItRun.map((entry) => ({ theme: 'alt', ...entry })),
          { theme: 'alt', text: 'Documentation', link: '/docs/' },
        ],
      },
    };
  },
  themeConfig: {
    nav: [
      { text: 'Documentation', link: '/docs/', activeMatch: '^/docs/' },
      { text: 'API', link: '/api/', activeMatch: '^/api/' },
      ...(hasRecordedRun ? [{ text: 'See it run', link: '/see-it-run' }] : []),
      { text: version, link: '/CHANGELOG' },
    ],
    sidebar: {
      '/api/': contentsOfApi(JSON.parse(read(`${MADE}/api.json`)) as ApiEntry[]),
      '/': [
        { text: 'Overview', link: '/' },
        ...seeItRun,
        ...contentsOf(read('docs/README.md'), 'docs'),
        { text: 'API', link: '/api/' },
        {
          text: 'The project',
          items: PROJECT_PAGES.map((page) => ({
            text: titleOf(resolve(ROOT, page)),
            link: `/${page.replace('.md', '')}`,
          })),
        },
      ],
    },
    outline: [2, 3],
    search: {
      provider: 'local',
      options: {
        miniSearch: {
          // What explains comes before what lists.
          searchOptions: {
            boostDocument: (page: string) =>
              /\/docs\/(?!decisions)/.test(page)
                ? 4
                : /\/api\/nestjs-leader\/[\w-]+\/\w+\.html/.test(page)
                  ? 2
                  : 1,
          },
        },
      },
    },
    footer: { message: `${name} ${version}, MIT licensed` },
  },
  buildEnd: ({ outDir }: { outDir: string }) => {
    const dead = deadLinks(outDir, base);
    if (dead.length > 0) throw new Error(`These links lead nowhere:\n${dead.join('\n')}`);
  },
});
