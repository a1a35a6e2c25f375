import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BackgroundTimers, type TimerWorker } from '../src/lib/backgroundTimers';
import { serveTimers, type TimerMessage } from '../src/lib/serveTimers';

/** A page and a worker that run the real code of both sides, with the messages between them. */
class FakeWorker implements TimerWorker {
  onmessage: TimerWorker['onmessage'] = null;
  onerror: TimerWorker['onerror'] = null;
  readonly sent: TimerMessage[] = [];
  private readonly scope: Parameters<typeof serveTimers>[0] = {
    onmessage: null,
    postMessage: (id) => this.onmessage?.({ data: id } as MessageEvent<number>),
  };

  constructor() {
    serveTimers(this.scope);
  }

  postMessage(message: TimerMessage): void {
    this.sent.push(message);
    this.scope.onmessage?.({ data: message } as MessageEvent<TimerMessage>);
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('BackgroundTimers', () => {
  it('runs each task once, when it is due, by one worker', () => {
    const createWorker = vi.fn(() => new FakeWorker());
    const timers = new BackgroundTimers(createWorker);
    expect(createWorker).not.toHaveBeenCalled();
    const ran: string[] = [];
    timers.later(2000, () => ran.push('second'));
    timers.later(1000, () => ran.push('first'));
    vi.advanceTimersByTime(999);
    expect(ran).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(ran).toEqual(['first']);
    vi.advanceTimersByTime(10_000);
    expect(ran).toEqual(['first', 'second']);
    expect(createWorker).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('runs nothing that was cancelled, also when the worker had already said so', () => {
    const worker = new FakeWorker();
    const timers = new BackgroundTimers(() => worker);
    const task = vi.fn();
    const cancel = timers.later(1000, task);
    cancel();
    expect(worker.sent.at(-1)).toEqual({ id: 1, delayMs: null });
    worker.onmessage?.({ data: 1 } as MessageEvent<number>);
    vi.advanceTimersByTime(5000);
    expect(task).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
    cancel();
    expect(worker.sent).toHaveLength(2);
  });

  it('lets a task set the next timer', () => {
    const timers = new BackgroundTimers(() => new FakeWorker());
    let beats = 0;
    const beat = () => {
      beats += 1;
      timers.later(1000, beat);
    };
    beat();
    vi.advanceTimersByTime(5000);
    expect(beats).toBe(6);
  });

  it('keeps time itself where there are no workers', () => {
    const timers = new BackgroundTimers(() => {
      throw new DOMException('blocked', 'SecurityError');
    });
    const [task, never] = [vi.fn(), vi.fn()];
    timers.later(1000, task);
    timers.later(500, never)();
    vi.advanceTimersByTime(1000);
    expect(task).toHaveBeenCalledOnce();
    expect(never).not.toHaveBeenCalled();
  });

  it('takes over what a worker that fails was to do', () => {
    const worker = new FakeWorker();
    worker.postMessage = () => undefined;
    const timers = new BackgroundTimers(() => worker);
    const [early, late] = [vi.fn(), vi.fn()];
    timers.later(1000, early);
    vi.advanceTimersByTime(400);
    worker.onerror?.({} as ErrorEvent);
    timers.later(1000, late);
    vi.advanceTimersByTime(600);
    expect(early).toHaveBeenCalledOnce();
    expect(late).not.toHaveBeenCalled();
    vi.advanceTimersByTime(400);
    expect(late).toHaveBeenCalledOnce();
  });
});
