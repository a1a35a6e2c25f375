import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StallWatchdog } from '../src/player/stallWatchdog';

describe('StallWatchdog', () => {
  let stalls = 0;
  let watchdog: StallWatchdog;

  beforeEach(() => {
    vi.useFakeTimers();
    stalls = 0;
    watchdog = new StallWatchdog(() => {
      stalls += 1;
    });
  });
  afterEach(() => vi.useRealTimers());

  it('reports a wait of ten seconds without bytes, once', () => {
    watchdog.waiting();
    watchdog.waiting();
    vi.advanceTimersByTime(9_999);
    expect(stalls).toBe(0);
    vi.advanceTimersByTime(60_000);
    expect(stalls).toBe(1);
  });

  it('lets a slow connection be slow', () => {
    watchdog.waiting();
    for (let second = 0; second < 60; second += 1) {
      vi.advanceTimersByTime(9_000);
      watchdog.progress();
    }
    expect(stalls).toBe(0);
    vi.advanceTimersByTime(10_000);
    expect(stalls).toBe(1);
  });

  it('is quiet while the player does not wait', () => {
    watchdog.progress();
    watchdog.waiting();
    watchdog.settled();
    watchdog.progress();
    vi.advanceTimersByTime(60_000);
    expect(stalls).toBe(0);
  });

  it('waits twice as long after each fruitless attempt, until bytes arrive', () => {
    const waited: number[] = [];
    const waitForStall = () => {
      const before = stalls;
      watchdog.waiting();
      let seconds = 0;
      while (stalls === before) {
        vi.advanceTimersByTime(1_000);
        seconds += 1;
      }
      waited.push(seconds);
    };
    for (let attempt = 0; attempt < 4; attempt += 1) waitForStall();
    watchdog.progress();
    waitForStall();
    expect(waited).toEqual([10, 20, 40, 40, 10]);
  });
});
