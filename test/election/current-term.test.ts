/** Which term the running code is work of, when gates are nested. */
import { describe, expect, it } from 'vitest';
import {
  DEFAULT_ELECTION,
  currentTerm,
  fakedTerm,
  isInTerm,
  runInFakedTerm,
  runInTerm,
} from '../../lib/election/current-term.js';
import { isLeaderError, type LeadershipTerm } from '../../lib/election/index.js';

const termOf = (leaseName: string): LeadershipTerm => ({ leaseName }) as LeadershipTerm;
const [bills, nextBills, mails] = [termOf('bills'), termOf('bills'), termOf('mails')];

/** The message of the error that `currentTerm` throws. */
function refusal(election?: string): string {
  try {
    currentTerm(election);
  } catch (error) {
    if (isLeaderError(error, 'LEADER_NO_CURRENT_TERM')) return error.message;
  }
  return 'none';
}

describe('the current term', () => {
  it('is that of the innermost gate', () => {
    runInTerm('bills', bills, () => {
      expect(currentTerm()).toBe(bills);
      runInTerm('mails', mails, () => {
        expect(currentTerm()).toBe(mails);
      });
      expect(currentTerm()).toBe(bills);
    });
  });

  it('of an election is that of its nearest gate', () => {
    runInTerm('bills', bills, () => {
      runInTerm('mails', mails, () => {
        expect(currentTerm('bills')).toBe(bills);
        expect(currentTerm('mails')).toBe(mails);
        runInTerm('bills', nextBills, () => {
          expect(currentTerm('bills')).toBe(nextBills);
          expect(currentTerm('mails')).toBe(mails);
        });
      });
    });
  });

  it('is the right one, whichever gate was passed before', () => {
    runInTerm('bills', bills, () => undefined);
    runInTerm('bills', nextBills, () => {
      expect(currentTerm()).toBe(nextBills);
    });
    // Terms of joint elections are equal, under different names.
    runInTerm('mails', nextBills, () => {
      expect(currentTerm('mails')).toBe(nextBills);
      runInTerm('bills', nextBills, () => undefined);
    });
    runInTerm('bills', nextBills, () => {
      expect(refusal('mails')).not.toBe('none');
    });
  });

  it('does not exist outside gates, and the error says what was asked for', () => {
    expect(refusal()).toMatch(/^currentTerm\(\) was called outside gated work\. Call it/);
    expect(refusal('mails')).toMatch(/^currentTerm\('mails'\) .* outside gated work of that election\. Call/);
    runInTerm('bills', bills, () => {
      expect(refusal()).toBe('none');
      expect(refusal('mails')).toMatch(/of that election/);
    });
  });
});

describe('code is work', () => {
  it('of the terms of all gates around it', () => {
    expect(isInTerm(bills)).toBe(false);
    runInTerm('bills', bills, () => {
      runInTerm('mails', mails, () => {
        expect([bills, nextBills, mails].map(isInTerm)).toEqual([true, false, true]);
      });
    });
  });

  it('of the newest term only, if a gate is passed in work of the same election', () => {
    runInTerm('mails', mails, () => {
      runInTerm('bills', bills, () => {
        runInTerm('bills', nextBills, () => {
          expect([bills, nextBills, mails].map(isInTerm)).toEqual([false, true, true]);
        });
      });
    });
  });
});

it('a faked term is that of its election, also when another is faked inside', () => {
  expect(fakedTerm('bills')).toBeUndefined();
  runInFakedTerm('bills', bills, () => {
    runInFakedTerm('mails', mails, () => {
      expect(fakedTerm('bills')).toBe(bills);
      expect(fakedTerm('mails')).toBe(mails);
      expect(fakedTerm('others')).toBeUndefined();
      expect(currentTerm()).toBe(mails);
    });
  });
  runInTerm('bills', bills, () => {
    expect(fakedTerm('bills')).toBeUndefined();
  });
});

it("an election whose options contain no name is called 'default'", () => {
  expect(DEFAULT_ELECTION).toBe('default');
});
