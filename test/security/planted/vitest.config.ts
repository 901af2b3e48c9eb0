import { defineConfig } from 'vitest/config';
import base from '../../../vitest.config.js';

/** The leaks that must be seen. */
export default defineConfig({
  ...base,
  test: { ...base.test, include: ['test/security/planted/*.planted.ts'], reporters: ['json'] },
});
