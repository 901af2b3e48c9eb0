/** The documentation site, as `npm run docs:build` makes it, in a real Chromium. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../package/consumer.js';
import { findChromium } from '../rig/chromium.js';

/** Where a host of pages may put it. */
const BASE = '/some/where/';
const SITE = 'build/site';
const BUILD = ['run', '--silent', 'docs:build'];
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
};

const found = findChromium();

beforeAll(async () => {
  await run('.', 'npm', BUILD, { DOCS_BASE: BASE, NODE_ENV: 'production' });
});

describe('the documentation site', () => {
  it('has every page of the index, the README, and what is for contributors', async () => {
    const pages = ['index', 'docs/index', 'ARCHITECTURE', 'CONTRIBUTING', 'SECURITY', 'CHANGELOG'];
    const missing = [...pages, ...(await pagesOfTheIndex())].filter(
      (page) => !existsSync(join(SITE, `${page}.html`)),
    );
    expect(missing).toEqual([]);
  });

  it('has the doc comments of each entry point of the package', async () => {
    const { name, exports } = await manifest();
    const entryPoints = Object.keys(exports).filter((path) => path !== './package.json');
    const missing = entryPoints.filter((path) => !existsSync(join(SITE, 'api', name, path, 'index.html')));
    expect(missing).toEqual([]);
    const page = await readFile(join(SITE, 'api', name, 'classes/LeaderService.html'), 'utf8');
    expect(page).toContain('Whether this process leads at this instant.');
  });

  it('is not part of the npm package', async () => {
    const [packed] = JSON.parse(
      await run('.', 'npm', ['pack', '--dry-run', '--json', '--ignore-scripts']),
    ) as [{ files: { path: string }[] }];
    const paths = packed.files.map(({ path }) => path);
    expect(paths).toContain('docs/gate.md');
    expect(paths.filter((path) => path.includes('.vitepress') || path.endsWith('.html'))).toEqual([]);
  });
});

if (!found.available) {
  const plainly = `the documentation site is not looked at in a browser here: ${found.reason}`;
  it(plainly, () => {
    expect(found.reason).not.toBe('');
  });
} else {
  describe('the documentation site in Chromium', () => {
    let server: Server;
    let browser: Browser;
    let origin = '';
    /** What pages asked for, and what went wrong in them. */
    const requested = new Set<string>();
    const faults: string[] = [];

    beforeAll(async () => {
      server = createServer((request, response) => {
        const { pathname } = new URL(request.url ?? '/', origin);
        const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
        void readFile(join(SITE, decodeURIComponent(path.slice(BASE.length)))).then(
          (content) => {
            response.setHeader('Content-Type', TYPES[extname(path)] ?? 'application/octet-stream');
            response.end(content);
          },
          () => response.writeHead(404).end(),
        );
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      origin = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
      browser = await found.start();
    });

    afterAll(async () => {
      await browser.close();
      server.close();
      await once(server, 'close');
    });

    async function open(
      path: string,
      { width = 1280, colorScheme = 'light' }: { width?: number; colorScheme?: 'light' | 'dark' } = {},
    ): Promise<Page> {
      const page = await browser.newPage({
        viewport: { width, height: 840 },
        colorScheme,
        reducedMotion: 'reduce',
      });
      page.on('request', (request) => requested.add(request.url()));
      page.on('pageerror', (error) => faults.push(`${path}: ${error.message}`));
      page.on('console', (message) => {
        if (message.type() === 'error') faults.push(`${path}: ${message.text()}`);
      });
      await page.goto(origin + BASE + path, { waitUntil: 'networkidle' });
      // Vue has taken over what the server sent: keys and buttons work.
      await page.waitForFunction("document.querySelector('#app').__vue_app__ !== undefined");
      return page;
    }

    it('shows the version of the package', async () => {
      const page = await open('docs/gate.html');
      const { version } = await manifest();
      expect(await page.locator('.VPNav').getByRole('link', { name: version, exact: true }).count()).toBe(1);
      await page.close();
    });

    it('has its pages in the order of docs/README.md', async () => {
      const page = await open('docs/gate.html');
      const links = await page.locator('.VPSidebar a').all();
      const addresses = await Promise.all(links.map((link) => link.getAttribute('href')));
      const shown = addresses.map((address) => String(address).slice(BASE.length).replace('.html', ''));
      const pages = await pagesOfTheIndex();
      expect(shown.filter((link) => pages.includes(link))).toEqual(pages);
      expect(shown).toEqual(
        expect.arrayContaining(['', 'api/', 'ARCHITECTURE', 'CONTRIBUTING', 'CHANGELOG']),
      );
      await page.close();
    });

    it('leads from the README to a page and to a heading in it', async () => {
      const page = await open('');
      await page.getByRole('link', { name: 'Terminus' }).click();
      await page.waitForURL(`**${BASE}docs/api.html#health`);
      await page.locator('#health').waitFor();
      await page.close();
    });

    it('is searched without a service, and by the keyboard alone', async () => {
      const page = await open('');
      await page.keyboard.press('Control+k');
      await page.getByRole('searchbox').waitFor();
      await page.keyboard.type('LEADER_NOT_LEADER');
      await page.locator('.VPLocalSearchBox .result').first().waitFor();
      const results = await page.locator('.VPLocalSearchBox .result').allInnerTexts();
      expect(results.some((result) => result.startsWith('#\nTroubleshooting'))).toBe(true);
      await page.keyboard.press('Enter');
      await page.waitForURL(/\.html#/);
      await page.close();
    });

    if (existsSync('docs/demo/run.html'))
      it('shows the recorded run of the demo', async () => {
        const page = await open('see-it-run.html');
        await page.frameLocator('iframe[title]').locator('h1').waitFor();
        await page.close();
      });

    describe.each([
      ['the first page', ''],
      ['a guide', 'docs/gate.html'],
      ['wide tables and pictures', 'docs/performance.html'],
      ['a manifest', 'docs/operations.html'],
      ['a class', 'api/nestjs-leader/classes/LeaderService.html'],
    ])('%s', (_name, path) => {
      it.each([
        [1280, 'light'],
        [1280, 'dark'],
        [390, 'light'],
        [390, 'dark'],
      ] as const)('is accessible, %d px wide, %s', async (width, colorScheme) => {
        const page = await open(path, { width, colorScheme });
        expect(await seriousFaults(page)).toEqual([]);
        // Wide tables and code scroll by themselves.
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
        await page.close();
      });
    });

    it('loads nothing from elsewhere, and reports no error, on any of these pages', () => {
      expect([...requested].filter((url) => !url.startsWith(origin + BASE))).toEqual([]);
      expect(requested.size).toBeGreaterThan(20);
      expect(faults).toEqual([]);
    });
  });
}

/** What axe finds that keeps somebody from reading the page. */
async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>('axe.run({ resultTypes: ["violations"] })');
  return (
    violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      // The name of the search button leaves out the key that is shown beside its text.
      .filter(({ id }) => id !== 'label-content-name-mismatch')
      .flatMap(({ id, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')}: ${String(failureSummary)}`),
      )
  );
}

/** The pages that docs/README.md lists, in its order, without `.md`. */
async function pagesOfTheIndex(): Promise<string[]> {
  const index = await readFile('docs/README.md', 'utf8');
  return [...index.matchAll(/^- \[.*?\]\((.*?)\.md\)/gm)].map(([, page]) => `docs/${String(page)}`);
}

async function manifest() {
  return JSON.parse(await readFile('package.json', 'utf8')) as {
    name: string;
    version: string;
    exports: Record<string, unknown>;
  };
}
