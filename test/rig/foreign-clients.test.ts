import { describe, expect, it } from 'vitest';
import { findForeignClient } from './foreign-clients.js';

describe('where clients of other languages come from', () => {
  it('is nowhere without their language: said plainly, and an error where it is required', () => {
    const nowhere = { PATH: '/nowhere' };
    expect(findForeignClient('fabric8', nowhere)).toMatchObject({
      available: false,
      reason: expect.stringContaining('java and javac and mvn cannot be run. It needs Java 17'),
    });
    const required = { ...nowhere, REQUIRE_FOREIGN_CLIENTS: 'npm python' };
    expect(findForeignClient('fabric8', required)).toMatchObject({ available: false });
    expect(() => findForeignClient('kubernetes', required)).toThrow(
      'Foreign clients in python are required (REQUIRE_FOREIGN_CLIENTS), but python3 cannot be run',
    );
  });
});
