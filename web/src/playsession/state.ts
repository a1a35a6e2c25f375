import { ApiError } from '../api/errors';
import type { WatchingDevice } from '../api/types';

export interface Refusal {
  /** Whose limit is reached. */
  scope: 'user' | 'server';
  limit: number | null;
  /** The viewer's own sessions: stopping one of them makes room. */
  devices: readonly WatchingDevice[];
  retryAfterSec: number | null;
}

export type PlayState =
  | { phase: 'opening' }
  /** It has a slot; `id` changes when another session takes over. */
  | { phase: 'active'; id: string }
  /** 1 is next. */
  | { phase: 'queued'; position: number }
  | { phase: 'refused'; refusal: Refusal }
  /** Nobody can say now; it is tried again. */
  | { phase: 'unavailable'; error: unknown }
  | { phase: 'failed'; error: unknown }
  /** It had a slot, or a place in the queue, and lost it. */
  | { phase: 'gone'; reason: string }
  /** Given up here: the viewer left, or the film was over. */
  | { phase: 'closed'; isFinished: boolean };

export function refusalOf(error: unknown): Refusal | null {
  if (!(error instanceof ApiError) || error.code !== 'STREAM_RATE_LIMITED') return null;
  const { scope, limit, devices } = error.details;
  return {
    scope: scope === 'user' ? 'user' : 'server',
    limit: typeof limit === 'number' ? limit : null,
    devices: Array.isArray(devices) ? (devices as WatchingDevice[]) : [],
    retryAfterSec: error.retryAfterSec,
  };
}

/** Nobody ended it on purpose: the computer slept, the network was away, or the server forgot. */
export function isLapse(reason: string): boolean {
  return reason === 'expired' || reason === 'unknown' || reason === 'ended';
}
