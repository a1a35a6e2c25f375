import { expect, vi } from 'vitest';
import { ApiError } from '../src/api/errors';
import type { PlaySessionAnswer, Qoe } from '../src/api/types';
import { PlaySession } from '../src/playsession/playSession';

export const HEARTBEAT_SEC = 10;
export const QOE: Qoe = { startup_ms: 300, stalls: 0, stall_ms: 0, dropped_frames: 0 };

export function active(id = 's1', ticket = 't1'): PlaySessionAnswer {
  return {
    session_id: id,
    status: 'active',
    heartbeat_sec: HEARTBEAT_SEC,
    stream_url: `/film?ticket=${ticket}`,
    ticket,
  };
}

export function queued(position: number, id = 's1', retryAfterSec = 2): PlaySessionAnswer {
  return {
    session_id: id,
    status: 'queued',
    heartbeat_sec: HEARTBEAT_SEC,
    position,
    retry_after_sec: retryAfterSec,
  };
}

export const over = (reason: string) => new ApiError(404, 'STREAM_SESSION_NOT_FOUND', 'over', { reason });
export const away = (retryAfterSec: number | null = null) =>
  new ApiError(503, 'SERVICE_UNAVAILABLE', 'away', {}, retryAfterSec);
export const full = (scope: string) =>
  new ApiError(
    429,
    'STREAM_RATE_LIMITED',
    'full',
    { scope, limit: 3, devices: [{ session_id: 'tv', device_name: 'Living room TV' }] },
    scope === 'server' ? 5 : null,
  );

export function setUp({ isVisible = true } = {}) {
  const start = vi.fn<(insteadOf: string | undefined) => Promise<PlaySessionAnswer>>();
  const heartbeat = vi.fn<(id: string, ticket: string | null) => Promise<PlaySessionAnswer>>();
  const end = vi.fn();
  const visible = { now: isVisible };
  const session = new PlaySession({
    start,
    heartbeat,
    end,
    later: (delayMs, task) => {
      const timer = setTimeout(task, delayMs);
      return () => clearTimeout(timer);
    },
    random: () => 0,
    isVisible: () => visible.now,
  });
  return { session, start, heartbeat, end, visible, state: () => session.state.value };
}

export async function playing() {
  const all = setUp();
  all.start.mockResolvedValueOnce(active());
  all.session.open();
  await vi.advanceTimersByTimeAsync(0);
  expect(all.state()).toEqual({ phase: 'active', id: 's1' });
  return all;
}
