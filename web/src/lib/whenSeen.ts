import type { Cancel } from './backgroundTimers';

/**
 * Runs `task` once, when `delayMs` have passed and the page is in view: a hidden page sends no requests. With `retries`,
 * the return of the network ends the wait.
 */
export function whenSeen(delayMs: number, task: () => void, { retries = false } = {}): Cancel {
  const listening = new AbortController();
  const { signal } = listening;
  let isDue = false;
  const run = () => {
    if (!isDue || document.visibilityState === 'hidden') return;
    cancel();
    task();
  };
  const due = () => {
    isDue = true;
    run();
  };
  const timer = setTimeout(due, delayMs);
  const cancel = () => {
    clearTimeout(timer);
    listening.abort();
  };
  document.addEventListener('visibilitychange', run, { signal });
  if (retries) window.addEventListener('online', due, { signal });
  return cancel;
}
