import { ApiError } from '../api/errors';
import type { WatchingDevice } from '../api/types';

export interface Refusal {
  /** Which limit is reached. */
  scope: 'user' | 'server';
  limit: number | null;
  /** The viewer's own sessions: stopping one of them frees a slot. */
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
  /** The server can't be reached; the request is retried. */
  | { phase: 'unavailable'; error: unknown }
  | { phase: 'failed'; error: unknown }
  /** It lost its slot, or its place in the queue. */
  | { phase: 'gone'; reason: string }
  /** Ended by this page: the viewer left, or the film was over. */
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

/** It was not ended on purpose: the computer slept, the network was down, or the server lost it. */
export function isLapse(reason: string): boolean {
  return reason === 'expired' || reason === 'unknown' || reason === 'ended';
}
