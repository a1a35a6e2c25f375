import { type Range, rangeAt } from './plan';

export const BEHIND_SEC = 20;
export const AHEAD_SEC = 25;
const LEAST_AHEAD_SEC = 6;
/** What is removed at once: small removals cost as much as large ones. */
const SLACK_SEC = 10;
const FAR_SEC = 60;

/** How much is kept around the playhead. Smaller, once a browser has said that it has no more room. */
export class BufferWindow {
  private ahead = AHEAD_SEC;
  private behind = BEHIND_SEC;

  get aheadSec(): number {
    return this.ahead;
  }

  /** Returns what to remove from the buffer now, in seconds, or null. */
  excess(time: number, ranges: readonly Range[]): Range | null {
    const first = ranges[0]?.start;
    const end = ranges.at(-1)?.end;
    if (first === undefined || end === undefined) return null;
    if (first < time - this.behind - SLACK_SEC) return { start: 0, end: time - this.behind };
    if (end > time + this.ahead + FAR_SEC) return { start: time + this.ahead + FAR_SEC / 2, end };
    return null;
  }

  /**
   * The browser has no room for another chunk: keep less, and return what to remove first; null if nothing is left to
   * remove, and the playhead must move on before.
   */
  shrink(time: number, ranges: readonly Range[]): Range | null {
    this.behind = Math.max(2, this.behind / 2);
    this.ahead = Math.max(LEAST_AHEAD_SEC, this.ahead * 0.75);
    const first = ranges[0]?.start;
    if (first !== undefined && first < time - this.behind) return { start: 0, end: time - this.behind };
    const here = rangeAt(ranges, time);
    const away = ranges.find(({ start }) => start > time && start !== here?.start);
    return away ? { start: away.start, end: ranges.at(-1)?.end ?? away.end } : null;
  }
}
