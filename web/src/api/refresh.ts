export type RefreshOutcome = 'refreshed' | 'denied' | 'unreachable';

export interface RefreshDeps {
  /** Sends POST /api/auth/refresh; resolves to the HTTP status, rejects when there was no answer. */
  send: () => Promise<number>;
  /** Runs the task while no other tab runs one. */
  exclusive: <T>(task: () => Promise<T>) => Promise<T>;
  /** When any tab last refreshed, in ms since the epoch; shared by the tabs. */
  lastRefresh: () => number;
  recordRefresh: (at: number) => void;
  now: () => number;
}

/**
 * Refresh tokens rotate, and presenting an old one twice ends the session, so all callers of all tabs share one
 * refresh: concurrent callers get the same promise, and a tab that waited for another's refresh uses its result.
 */
export class SessionRefresher {
  private inFlight: Promise<RefreshOutcome> | null = null;

  constructor(private readonly deps: RefreshDeps) {}

  /** `notSince`: when the failed request was sent; a refresh after that instant already suffices. */
  refresh(notSince: number): Promise<RefreshOutcome> {
    this.inFlight ??= this.run(notSince).finally(() => {
      this.inFlight = null;
    });
    return this.inFlight;
  }

  /** Refreshes only when the last one is older than `maxAgeMs`. */
  async ensureFresh(maxAgeMs: number): Promise<void> {
    const threshold = this.deps.now() - maxAgeMs;
    if (this.deps.lastRefresh() <= threshold) await this.refresh(threshold);
  }

  private run(notSince: number): Promise<RefreshOutcome> {
    return this.deps.exclusive(async () => {
      if (this.deps.lastRefresh() > notSince) return 'refreshed';
      try {
        const status = await this.deps.send();
        if (status === 200) {
          this.deps.recordRefresh(this.deps.now());
          return 'refreshed';
        }
        if (status !== 401 && status !== 403) return 'unreachable';
        // A log-in, or a tab without locks, may have renewed the session while this was under way.
        return this.deps.lastRefresh() > notSince ? 'refreshed' : 'denied';
      } catch {
        return 'unreachable';
      }
    });
  }
}
