import { describe, expect, it } from 'vitest';
import { openHeader } from '../../src/lsv/header';
import {
  beyondGap,
  chunkAt,
  durationOf,
  entryChunkAt,
  isAtEnd,
  isComplete,
  nextRecord,
  type Plan,
  planOf,
  type Range,
  type Run,
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
  const run = (first: number, last: number) => ({ first, last });

  it.each<[string, number, Range[], Run | null, number | null]>([
    ['begins with the chunk of the playhead', 4.5, none, null, 3],
    ['goes to the key frame first', 7, none, null, 3],
    ['then on to the playhead', 7, none, run(3, 3), 4],
    ['and one further, for its sound', 7, none, run(3, 4), 5],
    ['but not for ever, if there is a gap', 7, none, run(3, 5), null],
    ['starts anew after a jump back', 1, none, run(1, 5), 1],
    ['starts anew after a short jump back, over the beginning of what was asked for', 3, none, run(3, 3), 2],
    ['starts anew after a jump ahead', 11, none, run(1, 1), 6],
    ['fills up behind what is there', 1, upTo(2), run(1, 1), 2],
    ['heeds that sound ends before its picture', 1, upTo(1.93), run(1, 1), 2],
    ['goes on where little came of a chunk', 1, upTo(1.6), run(1, 1), 2],
    ['waits while there is enough', 1, upTo(7), run(1, 3), null],
    ['is none at the end', 11, upTo(12), run(1, 6), null],
    ['is none at the end with short sound', 11, upTo(11.4, 10), run(6, 6), null],
    ['starts from a key frame in what is there', 3, upTo(6.01, 2), null, 3],
    ['and goes on from there', 3, upTo(6.01, 2), run(3, 3), 4],
    ['fetches again what the browser has removed', 8.5, upTo(2), null, 5],
  ])('%s', (_, time, ranges, asked, record) => {
    expect(nextRecord(PLAN, time, ranges, asked, 5)).toBe(record);
  });

  it('comes to an end from everywhere, in order', () => {
    for (let time = 0; time < 12; time += 0.1) {
      let asked: Run | null = null;
      let ranges: Range[] = [];
      const records: number[] = [];
      for (let step = 0; step < 20; step += 1) {
        const record: number | null = nextRecord(PLAN, time, ranges, asked, 100);
        if (record === null) break;
        records.push(record);
        asked = { first: records[0] ?? record, last: record };
        ranges = upTo((PLAN.starts[record + 1] ?? 0) - 0.05, PLAN.starts[asked.first]);
      }
      const first = records[0] ?? 0;
      expect(records, `from ${time}`).toEqual(Array.from({ length: 7 - first }, (_, at) => first + at));
      expect(isComplete(PLAN, time, ranges, asked?.last ?? null)).toBe(true);
    }
  });
});

describe('end of the buffer', () => {
  it('is reached where nothing is left to play', () => {
    expect(isAtEnd(none, 0)).toBe(true);
    expect(isAtEnd(upTo(8), 7.9)).toBe(true);
    expect(isAtEnd(upTo(8), 9)).toBe(true);
  });

  it('is not reached while a slow decoder has something to do', () => {
    expect(isAtEnd(upTo(8), 0)).toBe(false);
    expect(isAtEnd(upTo(8), 6.2)).toBe(false);
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
