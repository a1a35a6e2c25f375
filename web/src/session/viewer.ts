import { storage } from '../lib/storage';
import { session, VIEWER_KEY } from './session';

/** Returns whose downloads are shown: the viewer who is logged in, or, while the server is away, who was. */
export function viewerId(): string | null {
  const state = session.peek();
  if (state.phase === 'authenticated') return state.user.id;
  return state.phase === 'unreachable' ? storage.get(VIEWER_KEY) || null : null;
}

/** Whether the server knows who is logged in, as far as the browser can say. */
export function isOnline(): boolean {
  return session.peek().phase === 'authenticated' && navigator.onLine;
}
