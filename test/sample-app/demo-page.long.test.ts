/** The page of the demo in a real Chromium: live, saved as a file, and as the picture of a failing seed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findChromium } from '../rig/chromium.js';
import { scratchFolder } from '../rig/guard.js';
import { listenTo } from '../security/canary.js';
import { mutants } from '../simulation/mutants.js';
import { plant } from '../simulation/plant.js';
import { simulateCommand } from '../simulation/run.js';

const found = findChromium();
const PHONE = { width: 390, height: 844 };

if (!found.available) {
  describe('the page of the demo', () => {
    it(`is not tested here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  let browser: Browser;
  /** What went wrong in the pages of a test: errors, and requests to anything but their own origin. */
  let troubles: string[] = [];

  beforeAll(async () => {
    browser = await found.start();
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    expect(troubles).toEqual([]);
    troubles = [];
  });

  const open = async (url: string, options: BrowserContextOptions = {}): Promise<Page> => {
    const page = await (await browser.newContext(options)).newPage();
    page.setDefaultTimeout(60_000);
    page.on('pageerror', (error) => troubles.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') troubles.push(message.text());
    });
    page.on('request', (request) => {
      const isOwn = url.startsWith('file:') ? request.url() === url : request.url().startsWith(url);
      if (!isOwn) troubles.push(`a request to ${request.url()}`);
    });
    await page.goto(url);
    return page;
  };

  describe('the live page', () => {
    let demo: ChildProcess;
    let url = '';

    beforeAll(async () => {
      demo = listenTo(spawn(process.execPath, ['build/sample-app/demo/main.js', '--no-open']));
      url = await new Promise<string>((told, failed) => {
        let output = '';
        demo.stdout?.on('data', (chunk: Buffer) => {
          output += chunk.toString('utf8');
          const [, address] = /^The page: (http:\S+)$/m.exec(output) ?? [];
          if (address !== undefined) told(address);
        });
        demo.once('exit', (code) => {
          failed(new Error(`The demo ended with ${String(code)}:\n${output}`));
        });
      });
    });
    afterAll(async () => {
      if (demo.exitCode !== null) return;
      const ended = once(demo, 'exit');
      demo.kill('SIGINT');
      expect(await ended).toEqual([0, null]);
    });

    it.each([
      ['Kill', 'SIGKILL', 'Restart'],
      ['Crash', 'uncaught exception', 'Restart'],
      ['Stop', 'SIGTERM', 'Restart'],
      ['Freeze', 'SIGSTOP', 'Thaw'],
      ['Cut', 'cut from the API server', 'Mend'],
    ])('a click on %s at the leader lets another lane light up', async (label, cause, remedy) => {
      const page = await open(url);
      const leader = await leaderOf(page, 'replica');
      await button(page, label, leader).click();
      const next = await leaderOf(page, 'replica', leader);
      const row = handOvers(page, 'nestjs-leader').first();
      await row.filter({ hasText: next }).waitFor();
      expect(await row.locator('td').allInnerTexts()).toEqual([
        cause,
        expect.stringMatching(new RegExp(`^${next}, token \\d+$`)),
        expect.stringMatching(/^[\d.]+ m?s$/),
      ]);
      expect(await page.locator('#said').innerText()).toMatch(
        new RegExp(`^${next}(\\.\\d+)? leads, token \\d+, after [\\d.]+ m?s\\.$`),
      );
      await button(page, remedy, leader).click();
      await lane(page, leader)
        .filter({ hasText: 'follows' })
        .and(page.locator('[data-state=running]'))
        .waitFor();
    });

    it('says which buttons can do nothing now, and lets them keep the focus', async () => {
      const page = await open(url);
      const leader = await leaderOf(page, 'replica');
      const [follower = ''] = ['replica-1', 'replica-2', 'replica-3'].filter((name) => name !== leader);
      await button(page, 'Kill', follower).click();
      await page.locator(`[data-lane=${follower}][data-state=gone]`).waitFor();
      expect(await button(page, 'Kill', follower).getAttribute('aria-disabled')).toBe('true');
      expect(await focused(page)).toBe(`Kill ${follower}`);
      await button(page, 'Restart', follower).click();
      await page.locator(`[data-lane=${follower}][data-state=running]`).waitFor();
      expect(await focused(page)).toBe(`Restart ${follower}`);
    });

    it('is used by the keyboard alone', async () => {
      const page = await open(url);
      const leader = await leaderOf(page, 'replica');
      const reached: string[] = [];
      for (;;) {
        await page.keyboard.press('Tab');
        const name = await focused(page);
        // After the last one the focus leaves the document.
        if (name === 'BODY') break;
        reached.push(name);
        expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), name).toBe(
          'solid',
        );
      }
      expect(new Set(reached).size).toBe(reached.length);
      expect(reached).toHaveLength(
        await page.locator('button:visible, a:visible, summary, #only, #events').count(),
      );
      for (const name of ['Stop', 'Kill', 'Crash', 'Freeze', 'Cut', 'Restart'])
        expect(reached).toContain(`${name} ${leader}`);
      expect(reached).toContain('Save this run');

      await page.keyboard.press(leader.slice(-1));
      await page.keyboard.press('k');
      await leaderOf(page, 'replica', leader);
      await page.keyboard.press('r');
      await page.locator(`[data-lane=${leader}][data-state=running]`).waitFor();
      // Single keys do nothing once they are switched off.
      await page.locator('summary').press('Enter');
      await page.locator('#keys-on').press('Space');
      await page.keyboard.press('s');
      await page.keyboard.press('2');
      expect(await page.locator(`#name-${leader}`).getAttribute('aria-pressed')).toBe('true');
      expect(await lane(page, leader).getAttribute('data-state')).toBe('running');
    });

    it('shows replicas that poll like client-go beside', async () => {
      const page = await open(url);
      await page.getByRole('button', { name: 'Start pollers like client-go beside' }).click();
      const poller = await leaderOf(page, 'poller');
      const replica = await leaderOf(page, 'replica');
      await page.getByRole('button', { name: 'Kill both leaders' }).click();
      await leaderOf(page, 'replica', replica);
      await leaderOf(page, 'poller', poller);
      for (const group of ['nestjs-leader', 'polls like client-go'])
        expect(await handOvers(page, group).first().innerText()).toMatch(/^SIGKILL/);
    });

    it.each(['light', 'dark'] as const)('has no fault of accessibility in %s', async (colorScheme) => {
      const page = await open(url, { colorScheme });
      await leaderOf(page, 'replica');
      expect(await faultsOfAccess(page)).toEqual([]);
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      expect(background).toBe(colorScheme === 'light' ? 'rgb(250, 249, 247)' : 'rgb(19, 23, 26)');
    });

    it('fits on a phone, with buttons that a thumb hits', async () => {
      const page = await open(url, { viewport: PHONE, hasTouch: true, isMobile: true });
      await leaderOf(page, 'replica');
      expect(await page.evaluate('document.scrollingElement.scrollWidth')).toBe(PHONE.width);
      for (const each of await page.locator('button:visible, a:visible, summary').all()) {
        const { width = 0, height = 0 } = (await each.boundingBox()) ?? {};
        expect(Math.min(width, height), await each.innerText()).toBeGreaterThanOrEqual(40);
      }
      expect(await faultsOfAccess(page)).toEqual([]);
    });

    it('is saved as a file that shows the same, and loads nothing', async () => {
      const page = await open(url);
      const leader = await leaderOf(page, 'replica');
      const rows = await handOvers(page, 'nestjs-leader').allInnerTexts();
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: 'Save this run' }).click(),
      ]);
      const file = join(await scratchFolder('demo-page'), 'run.html');
      await download.saveAs(file);
      const saved = await open(pathToFileURL(file).href);
      expect(await leaderOf(saved, 'replica')).toBe(leader);
      expect(await handOvers(saved, 'nestjs-leader').allInnerTexts()).toEqual(rows);
      expect(await saved.getByRole('button', { name: 'Kill' }).count()).toBe(0);
      expect(await faultsOfAccess(saved)).toEqual([]);
    });

    it('says when the demo has ended', async () => {
      const page = await open(url);
      await leaderOf(page, 'replica');
      const ended = once(demo, 'exit');
      demo.kill('SIGINT');
      await page.getByText('The demo has ended. This is what it told last.').waitFor();
      expect(await ended).toEqual([0, null]);
      // The stream that broke.
      troubles = troubles.filter((trouble) => !trouble.includes('net::ERR_'));
    });
  });

  describe('the recorded run of the documentation', () => {
    it('shows each moment of it', async () => {
      const page = await open(pathToFileURL(resolve('docs/demo/run.html')).href);
      expect(await handOvers(page, 'nestjs-leader').count()).toBe(3);
      const cursor = page.getByRole('slider');
      await cursor.fill('0');
      await page.getByText('Nobody leads.', { exact: true }).waitFor();
      expect(await handOvers(page, 'nestjs-leader').first().innerText()).toBe('none yet');
      await page.getByRole('button', { name: 'Play' }).click();
      await page.locator('.leads').first().waitFor();
      await page.getByRole('button', { name: 'Pause' }).click();
    });
  });

  describe('the page of a failing seed', () => {
    it('shows the guarantee that a planted fault breaks, and what the process saw and sent', async () => {
      const folder = await scratchFolder('failing-seed');
      const mutant = mutants.find(({ what }) => what === "the record's duration is not respected");
      if (mutant === undefined) throw new Error('There is no such planted fault.');
      const broken = plant(mutant, join(folder, 'package'));
      const file = join(folder, 'seed.html');
      const searched = simulateCommand(['--package', broken, '--seeds', '100', '--json']);
      const { failed } = JSON.parse(searched.output) as { failed: { seed: number }[] };
      const seed = String(failed[0]?.seed);
      const { status } = simulateCommand(['--package', broken, '--seed', seed, '--html', file]);
      expect(status).toBe(1);

      const page = await open(pathToFileURL(file).href);
      expect(await page.getByRole('heading', { level: 1 }).innerText()).toMatch(
        new RegExp(`^Seed ${seed}: G\\d is broken`),
      );
      const said = await page.locator('#said').innerText();
      expect(said).toMatch(/^G\d is broken: replica-\d+ /);
      const [, process = ''] = /: (replica-\d+) /.exec(said) ?? [];
      const chosen = page.locator(`[data-lane^="${process}"].chosen`);
      await chosen.waitFor();
      // With several Leases a process has a lane for each.
      const name = await chosen.getAttribute('data-lane');
      await page.getByRole('checkbox', { name: `Only ${String(name)}, with its messages` }).check();
      await page.locator('#events .request').first().waitFor();
      await page.locator('#events .reply, #events .failed').first().waitFor();
      expect(await page.locator('#events .broken').first().innerText()).toContain(said);
      expect(await faultsOfAccess(page)).toEqual([]);
      await rm(folder, { recursive: true });
    });
  });
}

function lane(page: Page, name: string): ReturnType<Page['locator']> {
  return page.locator(`[data-lane=${name}]`);
}

function button(page: Page, label: string, name: string): ReturnType<Page['locator']> {
  return page.getByRole('button', { name: `${label} ${name}`, exact: true });
}

/** The rows of a group's hand-overs, the latest first. */
function handOvers(page: Page, group: string): ReturnType<Page['locator']> {
  return page.getByRole('table', { name: group }).locator('tbody tr');
}

/** Waits until a lane of this kind lights up, other than a former leader's. */
async function leaderOf(page: Page, kind: string, former = 'none'): Promise<string> {
  const leader = page.locator(`[data-lane^=${kind}].leads:not([data-lane=${former}])`).first();
  return (await leader.getAttribute('data-lane')) ?? '';
}

/** The name of what has the focus; BODY: nothing has. */
function focused(page: Page): Promise<string> {
  const script =
    '(({ ariaLabel, id, innerText, tagName }) => tagName === "BODY" ? tagName : ariaLabel || id || innerText || tagName)' +
    '(document.activeElement)';
  return page.evaluate(script);
}

/** What axe finds wrong. */
async function faultsOfAccess(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>(
    'axe.run()',
  );
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}
