import { expect, it } from 'vitest';
import type { HistoryLine } from '../processes/replica/history-file.js';
import { historiesOf } from './histories.js';

it('a term begins between two looks, and ends between two looks', () => {
  const lines: HistoryLine[] = [
    { look: [1, 2] },
    { look: [3, 4], token: 10 },
    { look: [5, 6], token: 10 },
    { look: [7, 8], token: 10 },
    { look: [9, 10] },
    { look: [11, 12], token: 20 },
    { look: [13, 14], token: 30 },
  ];
  expect(historiesOf([[], lines]).terms).toEqual([
    { client: 1, do: 'begin', token: 10, call: 2, return: 2 },
    { client: 1, do: 'lead', token: 10, call: 3, return: 4 },
    { client: 1, do: 'lead', token: 10, call: 7, return: 8 },
    { client: 1, do: 'end', token: 10, call: 7, return: 10 },
    { client: 1, do: 'begin', token: 20, call: 10, return: 10 },
    { client: 1, do: 'lead', token: 20, call: 11, return: 12 },
    // This process began another term without having looked in between.
    { client: 1, do: 'end', token: 20, call: 11, return: 14 },
    { client: 1, do: 'begin', token: 30, call: 12, return: 12 },
    { client: 1, do: 'lead', token: 30, call: 13, return: 14 },
    // Nothing tells when a process has ended.
    { client: 1, do: 'end', token: 30, call: 13, return: undefined },
  ]);
});

it('the terms that a process remembers are a history of their own', () => {
  const { terms, remembered } = historiesOf([
    [{ look: [1, 2], token: 10, remembered: 10 }, { look: [3, 4], remembered: 10 }, { look: [5, 6] }],
  ]);
  expect(terms.at(-1)).toEqual({ client: 0, do: 'end', token: 10, call: 1, return: 4 });
  expect(remembered.at(-1)).toEqual({ client: 0, do: 'end', token: 10, call: 3, return: 6 });
});

it('calls and returns make operations of two kinds of registers; without a return the outcome is unknown, and one that failed has not happened', () => {
  const save = { do: 'save', token: 10, value: 'new', register: 'guarded 0' } as const;
  const read = { do: 'read', register: 'unguarded 0' } as const;
  const { guarded, unguarded } = historiesOf([
    [
      { id: 1, call: 1, operation: save },
      { id: 2, call: 2, operation: read },
      { id: 2, return: 3, outcome: { value: 'old' } },
      { id: 1, return: 4, outcome: { value: 'new', refused: true } },
    ],
    [
      { id: 1, call: 5, operation: save },
      { id: 2, call: 6, operation: save },
      { id: 2, return: 7, outcome: { failed: true } },
    ],
  ]);
  expect(guarded).toEqual([
    { client: 0, call: 1, return: 4, ...save, refused: true },
    { client: 1, call: 5, ...save },
  ]);
  expect(unguarded).toEqual([{ client: 0, call: 2, return: 3, ...read, value: 'old' }]);
});
