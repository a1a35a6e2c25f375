import { signal } from '@preact/signals';
import { language } from '../i18n';
import { storage } from '../lib/storage';
import { ApiClient, CSRF_HEADERS } from './client';
import { SessionRefresher } from './refresh';

const REFRESHED_AT_KEY = 'marquee.refreshed_at';

/** Raised when a request was refused and the session could not be renewed. */
export const sessionLost = signal(false);

function exclusiveAcrossTabs<T>(task: () => Promise<T>): Promise<T> {
  // Web Locks exist in secure contexts only; on plain HTTP each tab falls back to its own single flight.
  return navigator.locks ? navigator.locks.request('marquee.refresh', task) : task();
}

export const refresher = new SessionRefresher({
  send: async () => {
    const response = await fetch('/api/auth/refresh', {
      method: 'POST',
      credentials: 'same-origin',
      headers: { 'Accept-Language': language.value, ...CSRF_HEADERS },
    });
    return response.status;
  },
  exclusive: exclusiveAcrossTabs,
  lastRefresh: () => Number(storage.get(REFRESHED_AT_KEY) ?? 0),
  recordRefresh: recordFreshSession,
  now: Date.now,
});

/** Logging in also starts a new access token. */
export function recordFreshSession(at: number): void {
  storage.set(REFRESHED_AT_KEY, String(at));
}

export const api = new ApiClient({
  fetch: (input, init) => fetch(input, init),
  refresh: (notSince) => refresher.refresh(notSince),
  language: () => language.value,
  onSessionLost: () => {
    sessionLost.value = true;
  },
  now: Date.now,
});
