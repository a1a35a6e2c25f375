import type { Header } from './header';

/** Which record holds which time; plain data that a worker can send. */
export interface Plan {
  mimeType: string;
  /** When each record begins, in seconds; and, as the last element, when the film ends. */
  starts: readonly number[];
  /** Whether decoding can begin at a record. */
  keyFrames: readonly boolean[];
}

/** Sound may end this much before its picture at the end of a chunk; less than that is no gap. */
const EDGE_SEC = 0.25;
const TOUCHES_SEC = 0.1;

export function planOf({ prelude, mimeType, entries }: Header): Plan {
  let ticks = 0;
  const starts = [0];
  for (const { duration } of entries) {
    ticks += duration;
    starts.push(ticks / prelude.timescale);
  }
  return { mimeType, starts, keyFrames: entries.map(({ beginsWithKeyFrame }) => beginsWithKeyFrame) };
}

export function durationOf({ starts }: Plan): number {
  return starts.at(-1) ?? 0;
}

export function lastRecord({ keyFrames }: Plan): number {
  return keyFrames.length - 1;
}

/** Returns the chunk in which a time in seconds lies; times outside of the film count as its ends. */
export function chunkAt(plan: Plan, time: number): number {
  let low = 1;
  let high = lastRecord(plan);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((plan.starts[middle] ?? 0) <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Returns the chunk where decoding begins for a time: its own, or the nearest before it with a key frame. */
export function entryChunkAt(plan: Plan, time: number): number {
  let index = chunkAt(plan, time);
  while (index > 1 && !plan.keyFrames[index]) index -= 1;
  return index;
}

/** A stretch of time that can be played, in seconds. */
export interface Range {
  start: number;
  end: number;
}

/** Returns the range in which a time lies, or begins within a blink. */
export function rangeAt(ranges: readonly Range[], time: number): Range | null {
  return ranges.find(({ start, end }) => time >= start - TOUCHES_SEC && time < end) ?? null;
}

/** Whether the playhead has come to the end of what is in the buffer. */
export function isAtEnd(ranges: readonly Range[], time: number): boolean {
  const range = rangeAt(ranges, time);
  return range === null || range.end - time < EDGE_SEC;
}

/** Records that were asked for one after the other, from one with a key frame. */
export interface Run {
  first: number;
  last: number;
}

/**
 * Returns the next record to append, or null while there is enough.
 *
 * What is there is asked of the buffer, which browsers empty as they like. A run goes on until the buffer is full ahead:
 * so the chunk behind the playhead's comes too, which may hold the sound of its end. Where the run does not lead to what
 * is wanted, another one begins.
 */
export function nextRecord(
  plan: Plan,
  time: number,
  ranges: readonly Range[],
  run: Run | null,
  aheadSec: number,
): number | null {
  const range = rangeAt(ranges, time);
  if (range && (range.end - time >= aheadSec || range.end >= durationOf(plan) - EDGE_SEC)) return null;
  const wanted = range ? range.end + EDGE_SEC : time;
  const entry = entryChunkAt(plan, wanted);
  const chunk = chunkAt(plan, wanted);
  if (run === null || run.first > entry || run.last < entry || run.last > chunk + 1) return entry;
  // One more than the chunk itself; if there is a gap then, more of them don't close it.
  return run.last <= chunk && run.last < lastRecord(plan) ? run.last + 1 : null;
}

/** Whether the end of the film is in the buffer. */
export function isComplete(plan: Plan, time: number, ranges: readonly Range[], last: number | null): boolean {
  return last === lastRecord(plan) || (rangeAt(ranges, time)?.end ?? 0) >= durationOf(plan) - EDGE_SEC;
}

/**
 * Returns where the buffer goes on behind a gap around the playhead, or null.
 *
 * @param last the last record that was appended: with all around the playhead there, the gap is in the film
 */
export function beyondGap(
  plan: Plan,
  time: number,
  ranges: readonly Range[],
  last: number | null,
): number | null {
  if (last === null || rangeAt(ranges, time)) return null;
  const end = plan.starts[last + 1] ?? 0;
  return ranges.find(({ start }) => start > time && start < end)?.start ?? null;
}
