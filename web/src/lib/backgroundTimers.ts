import type { TimerMessage } from './serveTimers';

export type Cancel = () => void;

export interface TimerWorker {
  onmessage: ((event: MessageEvent<number>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  postMessage(message: TimerMessage): void;
}

interface Pending {
  dueAt: number;
  task: () => void;
  /** Only without a worker. */
  timer?: ReturnType<typeof setTimeout>;
}

/**
 * Timers that keep time while the tab is hidden: browsers let the timers of a hidden page run about once a minute, but
 * not those of its workers. Where workers are unavailable, they are the page's own.
 */
export class BackgroundTimers {
  private readonly pending = new Map<number, Pending>();
  private worker: TimerWorker | null | undefined;
  private lastId = 0;

  constructor(private readonly createWorker: () => TimerWorker) {}

  later(delayMs: number, task: () => void): Cancel {
    const id = ++this.lastId;
    this.pending.set(id, { dueAt: Date.now() + delayMs, task });
    this.worker = this.worker === undefined ? this.start() : this.worker;
    if (this.worker) this.worker.postMessage({ id, delayMs });
    else this.setOwnTimer(id);
    return () => this.cancel(id);
  }

  private start(): TimerWorker | null {
    try {
      const worker = this.createWorker();
      worker.onmessage = ({ data: id }) => this.due(id);
      worker.onerror = () => this.goOnWithout();
      return worker;
    } catch {
      return null;
    }
  }

  private goOnWithout(): void {
    this.worker = null;
    for (const id of this.pending.keys()) this.setOwnTimer(id);
  }

  private setOwnTimer(id: number): void {
    const pending = this.pending.get(id);
    if (pending) pending.timer = setTimeout(() => this.due(id), Math.max(0, pending.dueAt - Date.now()));
  }

  private due(id: number): void {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    pending?.task();
  }

  private cancel(id: number): void {
    const pending = this.pending.get(id);
    if (!pending) return;
    this.pending.delete(id);
    clearTimeout(pending.timer);
    this.worker?.postMessage({ id, delayMs: null });
  }
}

export const backgroundTimers = new BackgroundTimers(
  () => new Worker(new URL('./timers.worker.ts', import.meta.url), { type: 'module' }) as TimerWorker,
);
