/** Keeps the screen on while the film plays (Screen Wake Lock). Returns how to end it. */
export function keepAwake(element: HTMLVideoElement): () => void {
  const listening = new AbortController();
  const { signal } = listening;
  let lock: Promise<WakeLockSentinel | null> | null = null;

  const hold = () => {
    // Low on power, a browser refuses: the film plays all the same.
    if (!element.paused && !document.hidden) lock ??= navigator.wakeLock.request('screen').catch(() => null);
  };
  const release = () => {
    void lock?.then((held) => held?.release());
    lock = null;
  };
  if (!navigator.wakeLock) return () => undefined;
  element.addEventListener('playing', hold, { signal });
  for (const type of ['pause', 'ended', 'emptied']) element.addEventListener(type, release, { signal });
  // A browser takes it away from a page that is hidden.
  document.addEventListener('visibilitychange', () => (document.hidden ? release() : hold()), { signal });
  return () => {
    listening.abort();
    release();
  };
}
