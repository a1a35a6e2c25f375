import { useEffect, useRef, useState } from 'preact/hooks';
import { language } from '../i18n';

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
 * is already there stays visible meanwhile.
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
    setState((previous) => ({ ...previous, phase: 'loading' }) as Loaded<T>);
    loadRef.current(abort.signal).then(
      (data) => {
        if (!abort.signal.aborted) setState({ phase: 'ready', data });
      },
      (error: unknown) => {
        if (!abort.signal.aborted)
          setState((previous) => ({ ...previous, phase: 'failed', error }) as Loaded<T>);
      },
    );
    return () => abort.abort();
  }, [...deps, round, language.value]);
  return [state, () => setRound((count) => count + 1)];
}

/** Repeats `task` every `intervalMs` while `active` and the tab is visible; one run never overlaps the next. */
export function usePolling(task: () => Promise<void>, intervalMs: number, active: boolean): void {
  const taskRef = useRef(task);
  taskRef.current = task;
  useEffect(() => {
    if (!active) return;
    let stopped = false;
    let timer: ReturnType<typeof setTimeout>;
    const schedule = (delay: number) => {
      timer = setTimeout(run, delay);
    };
    const run = async () => {
      if (document.visibilityState === 'hidden') return;
      try {
        await taskRef.current();
        if (!stopped) schedule(intervalMs);
      } catch {
        // The server is away or asks for less: come back more slowly.
        if (!stopped) schedule(intervalMs * 5);
      }
    };
    const onVisible = () => {
      if (document.visibilityState === 'visible') {
        clearTimeout(timer);
        schedule(0);
      }
    };
    schedule(intervalMs);
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [intervalMs, active]);
}
