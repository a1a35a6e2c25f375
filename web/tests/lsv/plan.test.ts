import { describe, expect, it } from 'vitest';
import { openHeader } from '../../src/lsv/header';
import {
  beyondGap,
  chunkAt,
  durationOf,
  entryChunkAt,
  isComplete,
  nextRecord,
  type Plan,
  planOf,
  type Range,
} from '../../src/lsv/plan';
import { bytes, contentKey, expected, PACK } from './support';

/** Six chunks of two seconds; the fourth begins without a key frame. */
const PLAN: Plan = {
  mimeType: 'video/mp4',
  starts: [0, 0, 2, 4, 6, 8, 10, 12],
  keyFrames: [false, true, true, true, false, true, true],
};
const none: Range[] = [];
const upTo = (end: number, start = 0): Range[] => [{ start, end }];

describe('plan', () => {
  it('of the vector is in seconds', async () => {
    const { header } = await openHeader(bytes(PACK.pack), await contentKey(PACK), expected(PACK), null);
    const plan = planOf(header);
    expect(plan.starts.slice(0, 4)).toEqual([0, 0, 2, 3]);
    expect(durationOf(plan)).toBeCloseTo(315_045 / 90_000);
    expect(plan.keyFrames).toEqual([false, true, true, false]);
  });

  it.each([
    [-1, 1],
    [0, 1],
    [1.999, 1],
    [2, 2],
    [11.9, 6],
    [99, 6],
  ])('finds the chunk of second %d', (time, chunk) => {
    expect(chunkAt(PLAN, time)).toBe(chunk);
  });

  it('begins at the nearest key frame before', () => {
    expect(entryChunkAt(PLAN, 7)).toBe(3);
    expect(entryChunkAt(PLAN, 8)).toBe(5);
  });
});

describe('next record', () => {
  it.each<[string, number, Range[], number | null, number | null]>([
    ['begins with the chunk of the playhead', 4.5, none, null, 3],
    ['goes to the key frame first', 7, none, null, 3],
    ['then on to the playhead', 7, none, 3, 4],
    ['and one further, for its sound', 7, none, 4, 5],
    ['but not for ever, if there is a gap', 7, none, 5, null],
    ['starts anew after a jump back', 1, none, 5, 1],
    ['starts anew after a jump ahead', 11, none, 1, 6],
    ['fills up behind what is there', 1, upTo(2), 1, 2],
    ['heeds that sound ends before its picture', 1, upTo(1.93), 1, 2],
    ['goes on where little came of a chunk', 1, upTo(1.6), 1, 2],
    ['waits while there is enough', 1, upTo(7), 3, null],
    ['is none at the end', 11, upTo(12), 6, null],
    ['is none at the end with short sound', 11, upTo(11.4, 10), 6, null],
    ['starts from a key frame in what is there', 3, upTo(6.01, 2), null, 3],
    ['and goes on from there', 3, upTo(6.01, 2), 3, 4],
    ['fetches again what the browser has removed', 8.5, upTo(2), null, 5],
  ])('%s', (_, time, ranges, last, record) => {
    expect(nextRecord(PLAN, time, ranges, last, 5)).toBe(record);
  });

  it('comes to an end from everywhere, in order', () => {
    for (let time = 0; time < 12; time += 0.1) {
      let last: number | null = null;
      let ranges: Range[] = [];
      const asked: number[] = [];
      for (let step = 0; step < 20; step += 1) {
        const record = nextRecord(PLAN, time, ranges, last, 100);
        if (record === null) break;
        asked.push(record);
        last = record;
        const from = asked[0] ?? 0;
        ranges = upTo((PLAN.starts[record + 1] ?? 0) - 0.05, PLAN.starts[from]);
      }
      expect(asked, `from ${time}`).toEqual(
        Array.from({ length: 7 - (asked[0] ?? 0) }, (_, at) => (asked[0] ?? 0) + at),
      );
      expect(isComplete(PLAN, time, ranges, last)).toBe(true);
    }
  });
});

describe('gap', () => {
  it('is left where the film goes on, as far as it was appended', () => {
    expect(beyondGap(PLAN, 0, upTo(4, 0.4), 2)).toBe(0.4);
    expect(beyondGap(PLAN, 2.5, upTo(6, 3.9), 3)).toBe(3.9);
    expect(beyondGap(PLAN, 0, upTo(12, 10), 2)).toBeNull();
    expect(beyondGap(PLAN, 0, upTo(4, 0.4), null)).toBeNull();
    expect(beyondGap(PLAN, 3, upTo(4), 2)).toBeNull();
  });
});
