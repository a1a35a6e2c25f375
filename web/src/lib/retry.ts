const FIRST_MS = 1000;
const LONGEST_MS = 30_000;

/**
 * Returns how long to wait before the next attempt: twice as long each time, and at least as long as the server asked
 * for. Up to half of it is random, so that clients hit by one failure do not retry together.
 */
export function retryDelayMs(failures: number, atLeastSec: number | null, random: number): number {
  const longest = Math.min(FIRST_MS * 2 ** Math.max(0, failures - 1), LONGEST_MS);
  return (atLeastSec ?? 0) * 1000 + longest * (1 - random / 2);
}

/** Returns the n-th interval of a poll, from 0: each is 1.5 times the one before, up to `longestMs`. */
export function pollIntervalMs(round: number, firstMs: number, longestMs: number): number {
  return Math.min(firstMs * 1.5 ** round, longestMs);
}
