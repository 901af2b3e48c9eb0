import { describe, expect, it } from 'vitest';
import { findForeignClient } from './foreign-clients.js';

describe('a client of another language', () => {
  it('is not available without its language: with a clear reason, and as an error if it is required', () => {
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
