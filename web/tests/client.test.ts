import { describe, expect, it, vi } from 'vitest';
import { ApiClient } from '../src/api/client';
import { ApiError, NetworkError, parseApiError } from '../src/api/errors';
import type { RefreshOutcome } from '../src/api/refresh';

const ok = () => new Response('{"id":"1"}', { status: 200 });
const expired = () =>
  new Response('{"error":{"code":"AUTH_TOKEN_EXPIRED","message":"expired","details":{}}}', { status: 401 });

function setUp(answers: (() => Response)[], outcome: RefreshOutcome = 'refreshed') {
  const fetch = vi.fn(async (_input: RequestInfo | URL, _init?: RequestInit) => {
    const answer = answers.shift();
    if (!answer) throw new TypeError('Failed to fetch');
    return answer();
  });
  const refresh = vi.fn(async (_notSince: number) => outcome);
  const onSessionLost = vi.fn();
  const client = new ApiClient({ fetch, refresh, onSessionLost, language: () => 'ko', now: () => 7 });
  return { client, fetch, refresh, onSessionLost };
}

describe('ApiClient', () => {
  it('sends the language and the header that guards against forged requests', async () => {
    const { client, fetch } = setUp([ok]);
    await client.json('/api/x', { method: 'POST', body: { a: 1 } });
    const init = fetch.mock.calls[0]?.[1];
    expect(init).toMatchObject({ method: 'POST', body: '{"a":1}', credentials: 'same-origin' });
    expect(init?.headers).toMatchObject({
      'Accept-Language': 'ko',
      'X-Requested-With': 'marquee-web',
      'Content-Type': 'application/json',
    });
  });

  it('refreshes once after a 401 and repeats the request', async () => {
    const { client, fetch, refresh, onSessionLost } = setUp([expired, ok]);
    expect(await client.json('/api/x')).toEqual({ id: '1' });
    expect(refresh).toHaveBeenCalledExactlyOnceWith(7);
    expect(fetch).toHaveBeenCalledTimes(2);
    expect(onSessionLost).not.toHaveBeenCalled();
  });

  it('gives up after the second 401', async () => {
    const { client, fetch, onSessionLost } = setUp([expired, expired, ok]);
    await expect(client.json('/api/x')).rejects.toMatchObject({ status: 401, code: 'AUTH_TOKEN_EXPIRED' });
    expect(fetch).toHaveBeenCalledTimes(2);
    expect(onSessionLost).toHaveBeenCalledOnce();
  });

  it('reports the session lost when the refresh is refused', async () => {
    const { client, fetch, onSessionLost } = setUp([expired], 'denied');
    await expect(client.json('/api/x')).rejects.toBeInstanceOf(ApiError);
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(onSessionLost).toHaveBeenCalledOnce();
  });

  it('keeps the session when only the server is away', async () => {
    const { client, onSessionLost } = setUp([expired], 'unreachable');
    await expect(client.json('/api/x')).rejects.toBeInstanceOf(NetworkError);
    expect(onSessionLost).not.toHaveBeenCalled();
  });

  it('takes a 401 of log-in, and of a request that outlives its page, as it is', async () => {
    for (const options of [{ authenticated: false }, { keepalive: true }]) {
      const { client, refresh } = setUp([expired]);
      await expect(client.json('/api/x', options)).rejects.toMatchObject({ status: 401 });
      expect(refresh).not.toHaveBeenCalled();
    }
  });

  it('reads 204 and 404 as nothing where nothing is a fair answer', async () => {
    const none = () => new Response(null, { status: 204 });
    const missing = () =>
      new Response('{"error":{"code":"CONTENT_NOT_FOUND","message":"none"}}', { status: 404 });
    expect(await setUp([none]).client.optional('/api/x')).toBeNull();
    expect(await setUp([missing]).client.optional('/api/x')).toBeNull();
    expect(await setUp([ok]).client.optional('/api/x')).toEqual({ id: '1' });
  });

  it('can take an error status as an answer', async () => {
    const unwell = () => new Response('{"status":"degraded"}', { status: 503 });
    expect(await setUp([unwell]).client.json('/api/health', { accept: 503 })).toEqual({ status: 'degraded' });
  });
});

describe('parseApiError', () => {
  it('keeps code, message and details', () => {
    const body = '{"error":{"code":"STREAM_RATE_LIMITED","message":"full","details":{"limit":3}}}';
    expect(parseApiError(429, body)).toMatchObject({
      status: 429,
      code: 'STREAM_RATE_LIMITED',
      message: 'full',
      details: { limit: 3 },
    });
  });

  it.each(['<html>502</html>', '', 'null', '{"error":"x"}'])('survives %s', (body) => {
    expect(parseApiError(502, body)).toMatchObject({ status: 502, code: 'UNEXPECTED' });
  });
});
