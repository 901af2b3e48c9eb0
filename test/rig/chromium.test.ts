import { describe, expect, it } from 'vitest';
import { findChromium } from './chromium.js';

describe('the search for a Chromium', () => {
  it('says what is missing', () => {
    expect(findChromium({ PATH: '/nowhere' })).toEqual({
      available: false,
      reason: 'CHROMIUM_PATH is not set, and there is no chromium on the PATH (apt-get install chromium).',
    });
    expect(findChromium({ PATH: '/nowhere', CHROMIUM_PATH: '/nowhere/chromium' })).toEqual({
      available: false,
      reason: 'CHROMIUM_PATH is /nowhere/chromium, which cannot be run.',
    });
  });

  it('fails where one is required', () => {
    expect(() => findChromium({ PATH: '/nowhere', REQUIRE_CHROMIUM: '1' })).toThrow(
      'A Chromium is required (REQUIRE_CHROMIUM), but CHROMIUM_PATH is not set',
    );
  });
});
