/** A tracer that fails has no influence on the election and its calls. */
import { describe, expect, it } from 'vitest';
import type { CallTrace, ElectionTracer, LeaderError, LeadershipTerm } from '../../../lib/election/index.js';
import { unfailingTracer } from '../../../lib/election/internal.js';

const term = {} as LeadershipTerm;
const planted = new Error('planted');
const fail = (): never => {
  throw planted;
};

/** A tracer that notes what it is called with, with these parts of it and of its calls replaced. */
function noting(replaced: Partial<ElectionTracer> = {}, call: Partial<CallTrace> = {}) {
  const noted: string[] = [];
  const errors: LeaderError[] = [];
  const tracer = unfailingTracer(
    {
      term: () => {
        noted.push('term');
        return (reason) => noted.push(`term ended: ${reason}`);
      },
      call: (name) => {
        noted.push(name);
        return {
          run: (work) => {
            noted.push('run');
            return work();
          },
          end: (failure) => noted.push(failure === undefined ? 'ended' : `ended: ${String(failure.error)}`),
          ...call,
        };
      },
      ...replaced,
    },
    (error) => errors.push(error),
  );
  return { tracer, noted, errors };
}

describe('a tracer', () => {
  it('is called with the terms, and with the calls and their ends', () => {
    const { tracer, noted, errors } = noting();
    const endTerm = tracer.term(term);
    const call = tracer.call('Invoices.send', term);
    expect(call?.run(() => 7)).toBe(7);
    call?.end();
    call?.end({ error: 'late' });
    endTerm('superseded');
    expect(noted).toEqual(['term', 'Invoices.send', 'run', 'ended', 'ended: late', 'term ended: superseded']);
    expect(errors).toEqual([]);
  });

  it('may leave out a call', () => {
    expect(noting({ call: () => undefined }).tracer.call('Invoices.send', term)).toBeUndefined();
  });

  it('hears of a call that fails, and its caller gets that error', () => {
    let heard: unknown;
    const run = <T>(work: () => T): T => {
      try {
        return work();
      } catch (error) {
        heard = error;
        throw error;
      }
    };
    const { tracer, errors } = noting({}, { run });
    expect(() => {
      tracer.call('Invoices.send', term)?.run(fail);
    }).toThrow(planted);
    expect([heard, errors]).toEqual([planted, []]);
  });

  it.each<[string, Partial<ElectionTracer>, Partial<CallTrace>?]>([
    ['at the beginning of a term', { term: fail }],
    ['at the end of a term', { term: () => fail }],
    ['at a call', { call: fail }],
    ['before the work of a call', {}, { run: fail }],
    [
      'after the work of a call',
      {},
      {
        run: (work) => {
          work();
          return fail();
        },
      },
    ],
    ['at the end of a call', {}, { end: fail }],
  ])('that throws %s is reported once and not called again', (_, replaced, replacedInCall) => {
    const { tracer, noted, errors } = noting(replaced, replacedInCall);
    let worked = 0;
    const use = (): void => {
      const endTerm = tracer.term(term);
      const call = tracer.call('Invoices.send', term);
      const work = (): number => ++worked;
      expect((call?.run ?? ((run: typeof work) => run()))(work)).toBe(worked);
      call?.end();
      endTerm('stopped');
    };
    use();
    expect(errors).toMatchObject([{ code: 'LEADER_LISTENER_FAILED', cause: planted }]);
    const before = [...noted];
    use();
    expect([worked, noted, errors.length]).toEqual([2, before, 1]);
  });

  it('that throws after work that failed is reported, and the caller gets the error of the work', () => {
    const run = (work: () => unknown): never => {
      try {
        work();
      } catch {
        // Its own error follows.
      }
      throw new Error('of the tracer');
    };
    const { tracer, errors } = noting({}, { run });
    expect(() => {
      tracer.call('Invoices.send', term)?.run(fail);
    }).toThrow(planted);
    expect(errors).toMatchObject([{ cause: { message: 'of the tracer' } }]);
  });

  it('that does not run the work of a call does not keep it from running', () => {
    const { tracer } = noting({}, { run: () => undefined as never });
    expect(tracer.call('Invoices.send', term)?.run(() => 7)).toBe(7);
  });
});
