import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, NetworkError } from '../src/api/errors';
import { endPlaySession, endReason, probeStream } from '../src/api/playSessions';

const QOE = { startup_ms: 300, stalls: 1, stall_ms: 40, dropped_frames: 2 };

const page = new EventTarget();
const sent: string[] = [];
const beacon = vi.fn((url: string) => {
  sent.push(`beacon ${url}`);
  return true;
});
const fetching = vi.fn(async (url: string, init: RequestInit) => {
  sent.push(`${init.method} ${url}`);
  return new Response(null, { status: 204 });
});

beforeEach(() => {
  vi.useFakeTimers();
  sent.length = 0;
  vi.stubGlobal('navigator', { sendBeacon: beacon, languages: ['en'] });
  vi.stubGlobal('fetch', fetching);
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page));
  vi.stubGlobal('removeEventListener', page.removeEventListener.bind(page));
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.clearAllMocks();
});

describe('endPlaySession', () => {
  it('needs no answer while the page closes, and no login', () => {
    endPlaySession('s1', 't/1', QOE, { closing: true });
    expect(sent).toEqual(['POST /api/play-sessions/s1/qoe', 'beacon /api/play-sessions/s1/end?ticket=t%2F1']);
    expect(fetching.mock.calls[0]?.[1]).toMatchObject({ keepalive: true, body: JSON.stringify(QOE) });
  });

  it('lets the report arrive first when the page stays', async () => {
    fetching.mockImplementationOnce(
      (url, init) =>
        new Promise((resolve) => {
          sent.push(`${init.method} ${url}`);
          setTimeout(() => resolve(new Response(null, { status: 204 })), 50);
        }),
    );
    endPlaySession('s1', 't1', QOE, { closing: false });
    await vi.advanceTimersByTimeAsync(49);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(sent).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(5000);
    expect(beacon).toHaveBeenCalledOnce();
  });

  it('frees the place soon, whatever becomes of the report', async () => {
    fetching.mockImplementationOnce(() => new Promise(() => undefined));
    endPlaySession('s1', 't1', QOE, { closing: false });
    await vi.advanceTimersByTimeAsync(299);
    expect(beacon).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(beacon).toHaveBeenCalledOnce();
  });

  it('does not wait when the page is closed meanwhile', () => {
    fetching.mockImplementationOnce(() => new Promise(() => undefined));
    endPlaySession('s1', 't1', QOE, { closing: false });
    page.dispatchEvent(new Event('pagehide'));
    page.dispatchEvent(new Event('pagehide'));
    expect(beacon).toHaveBeenCalledOnce();
  });

  it('leaves the queue, where there is no ticket yet', () => {
    endPlaySession('s1', null, null, { closing: true });
    expect(sent).toEqual(['DELETE /api/play-sessions/s1']);
    expect(fetching.mock.calls[0]?.[1]).toMatchObject({ keepalive: true });
  });

  it('finds another way when the beacon is not taken', () => {
    beacon.mockReturnValueOnce(false);
    endPlaySession('s1', 't1', null, { closing: true });
    expect(sent).toEqual(['DELETE /api/play-sessions/s1']);
  });
});

describe('probeStream', () => {
  it('asks for two bytes and sends nothing but the ticket', async () => {
    fetching.mockResolvedValueOnce(new Response('ab', { status: 206 }));
    await probeStream('https://media.example/film?ticket=t');
    expect(fetching).toHaveBeenCalledWith('https://media.example/film?ticket=t', {
      headers: { Range: 'bytes=0-1' },
      credentials: 'omit',
      cache: 'no-store',
    });
  });

  it('tells why the film is refused', async () => {
    const body = '{"error":{"code":"STREAM_FILE_UNAVAILABLE","message":"not mounted"}}';
    fetching.mockResolvedValueOnce(new Response(body, { status: 503, headers: { 'Retry-After': '7' } }));
    await expect(probeStream('/film')).rejects.toMatchObject({
      code: 'STREAM_FILE_UNAVAILABLE',
      retryAfterSec: 7,
    });
    fetching.mockRejectedValueOnce(new TypeError('Failed to fetch'));
    await expect(probeStream('/film')).rejects.toBeInstanceOf(NetworkError);
  });
});

describe('endReason', () => {
  it('is what the server says, where it says that the session is over', () => {
    const over = (details: Record<string, unknown>) =>
      new ApiError(404, 'STREAM_SESSION_NOT_FOUND', '', details);
    expect(endReason(over({ reason: 'admin' }))).toBe('admin');
    expect(endReason(over({}))).toBe('unknown');
    expect(endReason(new ApiError(404, 'CONTENT_NOT_FOUND', ''))).toBeNull();
    expect(endReason(new NetworkError())).toBeNull();
  });
});
