import { useEffect, useRef, useState } from 'preact/hooks';
import { isPassing, retryAfterOf } from '../api/errors';
import { language } from '../i18n';
import type { Cancel } from './backgroundTimers';
import { pollIntervalMs, retryDelayMs } from './retry';
import { whenSeen } from './whenSeen';

export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Marquee`;
  }, [title]);
}

export type Loaded<T> =
  | { phase: 'loading'; data?: T }
  | { phase: 'failed'; error: unknown; data?: T }
  | { phase: 'ready'; data: T };

/**
 * Loads when `deps` or the language change, and when `reload` is called; a newer load cancels the older one. Data that
 * is already there stays visible meanwhile. Loads that fail because the server is away or limits requests are retried
 * at growing intervals while the page is in view; the error stays visible until then.
 */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  deps: readonly unknown[],
): [Loaded<T>, () => void] {
  const [state, setState] = useState<Loaded<T>>({ phase: 'loading' });
  const [round, setRound] = useState(0);
  const loadRef = useRef(load);
  loadRef.current = load;
  useEffect(() => {
    const abort = new AbortController();
    let cancel: Cancel = () => undefined;
    let failures = 0;
    const attempt = async () => {
      try {
        const data = await loadRef.current(abort.signal);
        if (!abort.signal.aborted) setState({ phase: 'ready', data });
      } catch (error) {
        if (abort.signal.aborted) return;
        setState((previous) => ({ ...previous, phase: 'failed', error }) as Loaded<T>);
        if (!isPassing(error)) return;
        failures += 1;
        const delayMs = retryDelayMs(failures, retryAfterOf(error), Math.random());
        cancel = whenSeen(delayMs, () => void attempt(), { retries: true });
      }
    };
    setState((previous) => ({ ...previous, phase: 'loading' }) as Loaded<T>);
    void attempt();
    return () => {
      abort.abort();
      cancel();
    };
  }, [...deps, round, language.value]);
  return [state, () => setRound((count) => count + 1)];
}

/**
 * Repeats `task` while `active` and the tab is visible, every `firstMs` or at intervals that grow up to `longestMs`; one
 * run never overlaps the next. While the server is away or limits requests, the intervals are longer.
 */
export function usePolling(
  task: () => Promise<void>,
  active: boolean,
  { firstMs, longestMs = firstMs }: { firstMs: number; longestMs?: number },
): void {
  const taskRef = useRef(task);
  taskRef.current = task;
  useEffect(() => {
    if (!active) return;
    let stopped = false;
    let cancel: Cancel = () => undefined;
    let rounds = 0;
    let failures = 0;
    const schedule = (delayMs: number) => {
      if (!stopped) cancel = whenSeen(delayMs, () => void run(), { retries: failures > 0 });
    };
    const run = async () => {
      try {
        await taskRef.current();
        failures = 0;
        rounds += 1;
        schedule(pollIntervalMs(rounds, firstMs, longestMs));
      } catch (error) {
        failures += 1;
        schedule(firstMs + retryDelayMs(failures, retryAfterOf(error), Math.random()));
      }
    };
    schedule(firstMs);
    return () => {
      stopped = true;
      cancel();
    };
  }, [firstMs, longestMs, active]);
}
