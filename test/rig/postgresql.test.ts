import { describe, expect, it } from 'vitest';
import { findPostgresql } from './postgresql.js';

describe('a PostgreSQL for tests', () => {
  it('may be missing: with a clear reason, and as an error if it is required', () => {
    expect(findPostgresql({}, '/nowhere')).toEqual({
      available: false,
      reason: 'there is no PostgreSQL in /nowhere (apt-get install postgresql).',
    });
    expect(() => findPostgresql({ REQUIRE_POSTGRESQL: '1' }, '/nowhere')).toThrow(
      'A PostgreSQL is required (REQUIRE_POSTGRESQL), but there is no PostgreSQL in /nowhere',
    );
  });
});
