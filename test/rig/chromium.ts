/** A Chromium for the tests of pages: the user's, or the one on the PATH. */
import { chromium, type Browser } from 'playwright-core';
import { isExecutable, onPath } from './on-path.js';

/** How to start a Chromium, or why there is none. */
export type ChromiumSearch =
  | { readonly available: true; readonly start: () => Promise<Browser> }
  | { readonly available: false; readonly reason: string };

/**
 * Finds the Chromium of `CHROMIUM_PATH`, or else one on the PATH.
 *
 * @throws Error if there is neither and `REQUIRE_CHROMIUM` is set, as in CI.
 */
export function findChromium(env: NodeJS.ProcessEnv = process.env): ChromiumSearch {
  const program =
    env['CHROMIUM_PATH'] ??
    ['chromium', 'chromium-browser', 'google-chrome']
      .map((name) => onPath(name, env['PATH'] ?? ''))
      .find((found) => found !== undefined);
  if (program !== undefined && isExecutable(program)) {
    return {
      available: true,
      start: () =>
        // Chromium's sandbox refuses to run as root, as in containers.
        chromium.launch({ executablePath: program, chromiumSandbox: process.getuid?.() !== 0 }),
    };
  }
  const reason =
    program === undefined
      ? 'CHROMIUM_PATH is not set, and there is no chromium on the PATH (apt-get install chromium).'
      : `CHROMIUM_PATH is ${program}, which cannot be run.`;
  if (env['REQUIRE_CHROMIUM']) throw new Error(`A Chromium is required (REQUIRE_CHROMIUM), but ${reason}`);
  return { available: false, reason };
}
