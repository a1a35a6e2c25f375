import { effect, signal } from '@preact/signals';
import { recordFreshSession, refresher, sessionLost } from '../api';
import * as endpoints from '../api/endpoints';
import { ApiError, isPassing, retryAfterOf } from '../api/errors';
import type { User } from '../api/types';
import type { Cancel } from '../lib/backgroundTimers';
import { retryDelayMs } from '../lib/retry';
import { storage } from '../lib/storage';
import { whenSeen } from '../lib/whenSeen';

export type SessionState =
  | { phase: 'loading' }
  | { phase: 'unreachable'; error: unknown }
  | { phase: 'anonymous'; expired: boolean }
  | { phase: 'authenticated'; user: User };

/** Who is logged in: pages without a network can't ask, and show the downloads of no other viewer. */
export const VIEWER_KEY = 'marquee.viewer';

export const session = signal<SessionState>({ phase: 'loading' });

let failures = 0;
let cancelRetry: Cancel = () => undefined;

/** Finds out who is logged in. While the server can't be reached, retries at growing intervals. */
export async function loadSession(): Promise<void> {
  cancelRetry();
  try {
    const user = await endpoints.getMe();
    failures = 0;
    session.value = { phase: 'authenticated', user };
  } catch (error) {
    // The response must not log out a user who logged in while the request was under way.
    if (session.peek().phase === 'authenticated') return;
    const refused = error instanceof ApiError && (error.status === 401 || error.status === 403);
    session.value = refused ? { phase: 'anonymous', expired: false } : { phase: 'unreachable', error };
    if (!isPassing(error)) return;
    failures += 1;
    const delayMs = retryDelayMs(failures, retryAfterOf(error), Math.random());
    cancelRetry = whenSeen(delayMs, () => void loadSession(), { retries: true });
  }
}

export async function logIn(loginId: string, password: string): Promise<void> {
  const { user } = await endpoints.login(loginId, password);
  recordFreshSession(Date.now());
  sessionLost.value = false;
  session.value = { phase: 'authenticated', user };
}

/** Shows a change that the user made to the account. */
export function updateUser(user: User): void {
  session.value = { phase: 'authenticated', user };
}

/** Shows no one’s downloads in this browser until the next login, also without a network. */
export function forgetViewer(): void {
  storage.set(VIEWER_KEY, '');
}

export async function logOut(): Promise<void> {
  await endpoints.logout();
  forgetViewer();
  // A fresh page, so that nothing of this user stays in memory for the next one.
  location.assign('/login');
}

const KEEP_FRESH_MS = 9 * 60_000;
const CHECK_EVERY_MS = 60_000;

/** Thumbnails are fetched by <img>, which cannot renew an expired session: a page in view keeps its own fresh. */
export function keepSessionFresh(): void {
  const check = () => {
    if (session.peek().phase === 'authenticated' && document.visibilityState === 'visible') {
      void refresher.ensureFresh(KEEP_FRESH_MS);
    }
  };
  setInterval(check, CHECK_EVERY_MS);
  document.addEventListener('visibilitychange', check);
}

effect(() => {
  if (sessionLost.value && session.peek().phase === 'authenticated') {
    session.value = { phase: 'anonymous', expired: true };
  }
});

effect(() => {
  const state = session.value;
  if (state.phase === 'authenticated') storage.set(VIEWER_KEY, state.user.id);
  if (state.phase === 'anonymous') storage.set(VIEWER_KEY, '');
});
