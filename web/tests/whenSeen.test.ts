import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pollIntervalMs } from '../src/lib/retry';
import { whenSeen } from '../src/lib/whenSeen';

let page: EventTarget & { visibilityState: string };
let browser: EventTarget;

beforeEach(() => {
  vi.useFakeTimers();
  page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  browser = new EventTarget();
  vi.stubGlobal('document', page);
  vi.stubGlobal('window', browser);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function show(visibilityState: 'visible' | 'hidden') {
  page.visibilityState = visibilityState;
  page.dispatchEvent(new Event('visibilitychange'));
}

describe('whenSeen', () => {
  it('runs once when the time is over', () => {
    const task = vi.fn();
    whenSeen(1000, task);
    vi.advanceTimersByTime(999);
    expect(task).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    show('hidden');
    show('visible');
    vi.advanceTimersByTime(5000);
    expect(task).toHaveBeenCalledOnce();
  });

  it('does nothing while the page is hidden', () => {
    const task = vi.fn();
    show('hidden');
    whenSeen(1000, task);
    vi.advanceTimersByTime(600_000);
    expect(task).not.toHaveBeenCalled();
    show('visible');
    expect(task).toHaveBeenCalledOnce();
  });

  it('is not hurried by a page that comes and goes', () => {
    const task = vi.fn();
    whenSeen(1000, task);
    show('hidden');
    show('visible');
    vi.advanceTimersByTime(999);
    expect(task).not.toHaveBeenCalled();
  });

  it('takes the return of the network as the end of a wait for it', () => {
    const poll = vi.fn();
    const retry = vi.fn();
    whenSeen(30_000, poll);
    whenSeen(30_000, retry, { retries: true });
    browser.dispatchEvent(new Event('online'));
    expect(poll).not.toHaveBeenCalled();
    expect(retry).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(30_000);
    expect(poll).toHaveBeenCalledOnce();
    expect(retry).toHaveBeenCalledOnce();
  });

  it('can be cancelled', () => {
    const task = vi.fn();
    const cancel = whenSeen(1000, task, { retries: true });
    cancel();
    vi.advanceTimersByTime(1000);
    browser.dispatchEvent(new Event('online'));
    show('visible');
    expect(task).not.toHaveBeenCalled();
  });
});

describe('pollIntervalMs', () => {
  it('grows up to the longest', () => {
    const intervals = [0, 1, 2, 3, 4, 5, 6].map((round) => pollIntervalMs(round, 2000, 15_000));
    expect(intervals).toEqual([2000, 3000, 4500, 6750, 10_125, 15_000, 15_000]);
  });

  it('stays the same when it may not grow', () => {
    expect([0, 1, 50].map((round) => pollIntervalMs(round, 6000, 6000))).toEqual([6000, 6000, 6000]);
  });
});
