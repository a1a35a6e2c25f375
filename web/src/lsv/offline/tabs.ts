const CHANNEL = 'marquee-downloads';

/** What the tabs of a browser agree on: which of them works on a film, and what has changed. */
export interface Tabs {
  /** Returns what gives the film free again; null if another tab has it, and still has it after `waitMs`. */
  hold(name: string, waitMs?: number): Promise<(() => void) | null>;
  /** Has the other tabs read a film's row again. */
  tell(name: string): void;
  /** Calls back with what other tabs tell, until the returned function is called. */
  listen(onChange: (name: string) => void): () => void;
}

/**
 * Returns the tabs of this browser, by Web Locks and a BroadcastChannel. Without Web Locks, the file of a pack decides:
 * it can be opened for writing once.
 */
export function tabsOfBrowser(locks: LockManager | null = navigator.locks ?? null): Tabs {
  const channel = globalThis.BroadcastChannel ? new BroadcastChannel(CHANNEL) : null;
  return {
    hold: (name, waitMs = 0) => (locks ? holdLock(locks, name, waitMs) : Promise.resolve(() => undefined)),
    tell: (name) => channel?.postMessage(name),
    listen: (onChange) => {
      const take = ({ data }: MessageEvent<string>) => onChange(data);
      channel?.addEventListener('message', take);
      return () => channel?.removeEventListener('message', take);
    },
  };
}

function holdLock(locks: LockManager, name: string, waitMs: number): Promise<(() => void) | null> {
  return new Promise((resolve) => {
    const options: LockOptions = waitMs > 0 ? { signal: AbortSignal.timeout(waitMs) } : { ifAvailable: true };
    locks
      .request(`${CHANNEL}.${name}`, options, (lock) => {
        if (!lock) return resolve(null);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(() => resolve(null));
  });
}
