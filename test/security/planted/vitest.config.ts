import { defineConfig } from 'vitest/config';
import base from '../../../vitest.config.js';

/** Runs the leaks that must be found. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ['test/security/planted/*.planted.ts'], reporters: ['json'] },
});
