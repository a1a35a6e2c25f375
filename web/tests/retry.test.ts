import { describe, expect, it } from 'vitest';
import { retryDelayMs } from '../src/lib/retry';

describe('retryDelayMs', () => {
  it('doubles up to half a minute', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 100].map((failures) => retryDelayMs(failures, null, 0))).toEqual([
      1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000,
    ]);
  });

  it('leaves up to half of it to chance', () => {
    expect(retryDelayMs(3, null, 0.5)).toBe(3000);
    expect(retryDelayMs(3, null, 1)).toBe(2000);
  });

  it('comes after what the server asked for, by chance, too', () => {
    expect(retryDelayMs(1, 7, 0)).toBe(8000);
    expect(retryDelayMs(1, 7, 1)).toBe(7500);
  });
});
