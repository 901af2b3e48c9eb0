import { describe, expect, it } from 'vitest';
import { violationsIn, type Claim, type ClaimHistory } from '../../sample-app/demo/check-claims.js';

const claim = (replica: string, token: bigint, from: number, until: number): Claim => ({
  replica,
  token,
  from,
  until,
});

const sound: ClaimHistory = {
  claims: [claim('a', 1n, 0, 100), claim('b', 2n, 100, 250), claim('a', 5n, 300, 400)],
  jobs: [
    { replica: 'a', token: 1n, at: 0 },
    { replica: 'b', token: 2n, at: 250 },
  ],
  looks: [
    { replica: 'a', at: 50 },
    { replica: 'b', at: 200 },
  ],
};

describe('the judge of the demo', () => {
  it('finds nothing wrong with a sound history', () => {
    expect(violationsIn(sound)).toEqual([]);
  });

  it.each([
    [
      'a planted overlap of a tenth of a millisecond',
      { claims: [...sound.claims, claim('c', 9n, 399.9, 500)] },
      /both led for 0.1 ms/,
    ],
    [
      'a claim inside another',
      { claims: [...sound.claims, claim('c', 3n, 150, 160)] },
      /b \(token 2\) and c \(token 3\) both led/,
    ],
    ['a token that did not grow', { claims: [...sound.claims, claim('c', 5n, 500, 600)] }, /no larger token/],
    [
      'a job after its term',
      { jobs: [{ replica: 'b', token: 2n, at: 251 }] },
      /a job ran in b .* outside that term/,
    ],
    [
      'a job with the token of another',
      { jobs: [{ replica: 'b', token: 1n, at: 200 }] },
      /outside that term/,
    ],
    [
      'an answer "I lead" after the term',
      { looks: [{ replica: 'a', at: 101 }] },
      /a answered that it leads at 101/,
    ],
  ])('finds %s', (_, planted, message) => {
    const violations = violationsIn({ ...sound, ...planted });
    expect(violations).toHaveLength(1);
    expect(violations[0]).toMatch(message);
  });
});
