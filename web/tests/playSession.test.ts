import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, NetworkError } from '../src/api/errors';
import { SessionOverError } from '../src/playsession/playSession';
import { active, away, full, HEARTBEAT_SEC, over, playing, QOE, queued, setUp } from './playSessionSupport';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('opening', () => {
  it('plays with the URL that it was given', async () => {
    const { session, state, start } = setUp();
    start.mockResolvedValueOnce(active());
    expect(state(), 'nothing was given up yet').toEqual({ phase: 'opening' });
    session.open();
    expect(state()).toEqual({ phase: 'opening' });
    expect(session.streamUrl).toBeNull();
    await vi.advanceTimersByTimeAsync(0);
    expect(state()).toEqual({ phase: 'active', id: 's1' });
    expect(session.streamUrl).toBe('/film?ticket=t1');
  });

  it('keeps the key of a protected film, which no heartbeat brings again', async () => {
    const { session, start, heartbeat } = setUp();
    const key = { scope: 'ONLINE_STREAM_ONLY', server_public_key: 'p', wrapped_key: 'k', content_version: 1 };
    start.mockResolvedValueOnce({ ...active(), ...key });
    heartbeat.mockResolvedValue(active('s1', 't2'));
    session.open();
    await vi.advanceTimersByTimeAsync(HEARTBEAT_SEC * 1000);
    expect(session.streamUrl).toBe('/film?ticket=t2');
    expect(session.key).toMatchObject(key);
    start.mockResolvedValueOnce(active('s2'));
    session.open();
    await vi.advanceTimersByTimeAsync(0);
    expect(session.key, 'that of another session').toBeNull();
  });

  it('names the devices that hold the places, and takes one over', async () => {
    const { session, state, start } = setUp();
    start.mockRejectedValueOnce(full('user')).mockResolvedValueOnce(active());
    session.open();
    await vi.advanceTimersByTimeAsync(0);
    expect(state()).toMatchObject({
      phase: 'refused',
      refusal: { scope: 'user', limit: 3, devices: [{ device_name: 'Living room TV' }], retryAfterSec: null },
    });
    session.open('tv');
    await vi.advanceTimersByTimeAsync(0);
    expect(start).toHaveBeenLastCalledWith('tv');
    expect(state().phase).toBe('active');
  });

  it('knows when the whole server is full, and since when it is worth trying again', async () => {
    const { session, state, start } = setUp();
    start.mockRejectedValueOnce(full('server'));
    session.open();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state()).toMatchObject({ phase: 'refused', refusal: { scope: 'server', retryAfterSec: 5 } });
    expect(start).toHaveBeenCalledOnce();
  });

  it('gives up on what will not change', async () => {
    const { session, state, start } = setUp();
    start.mockRejectedValueOnce(new ApiError(404, 'CONTENT_NOT_FOUND', 'no such film'));
    session.open();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state()).toMatchObject({ phase: 'failed', error: { code: 'CONTENT_NOT_FOUND' } });
    expect(start).toHaveBeenCalledOnce();
  });

  it.each([
    ['the store is away', away()],
    ['the network is away', new NetworkError()],
    ['requests come too fast', new ApiError(429, 'RATE_LIMITED', 'slow down')],
    ['a proxy has no server behind it', new ApiError(502, 'UNEXPECTED', '')],
  ])('tries again, ever more slowly, when %s', async (_, error) => {
    const { session, state, start } = setUp();
    start.mockRejectedValue(error);
    session.open('tv');
    await vi.advanceTimersByTimeAsync(0);
    expect(state()).toEqual({ phase: 'unavailable', error });
    for (const [afterMs, calls] of [
      [999, 1],
      [1, 2],
      [1999, 2],
      [1, 3],
      [4000, 4],
    ] as const) {
      await vi.advanceTimersByTimeAsync(afterMs);
      expect(start).toHaveBeenCalledTimes(calls);
    }
    start.mockReset().mockResolvedValueOnce(active());
    await vi.advanceTimersByTimeAsync(8000);
    expect(start).toHaveBeenCalledExactlyOnceWith('tv');
    expect(state().phase).toBe('active');
  });

  it('waits at least for as long as the server asks', async () => {
    const { session, start } = setUp();
    start.mockRejectedValue(away(20));
    session.open();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(start).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(1000);
    expect(start).toHaveBeenCalledTimes(2);
  });
});

describe('waiting in the queue', () => {
  it('polls when due, moves up, and plays automatically', async () => {
    const { session, state, start, heartbeat } = setUp();
    start.mockResolvedValueOnce(queued(2));
    heartbeat.mockResolvedValueOnce(queued(1, 's1', 4)).mockResolvedValueOnce(active());
    session.open();
    await vi.advanceTimersByTimeAsync(0);
    expect(state()).toEqual({ phase: 'queued', position: 2 });
    await vi.advanceTimersByTimeAsync(2000);
    expect(heartbeat).toHaveBeenLastCalledWith('s1', null);
    expect(state()).toEqual({ phase: 'queued', position: 1 });
    await vi.advanceTimersByTimeAsync(3999);
    expect(heartbeat).toHaveBeenCalledOnce();
    await vi.advanceTimersByTimeAsync(1);
    expect(state()).toEqual({ phase: 'active', id: 's1' });
  });

  it('keeps its place while the server cannot be asked', async () => {
    const { session, state, start, heartbeat } = setUp();
    start.mockResolvedValueOnce(queued(2));
    heartbeat.mockRejectedValueOnce(away()).mockResolvedValueOnce(queued(1));
    session.open();
    await vi.advanceTimersByTimeAsync(2000);
    expect(state()).toEqual({ phase: 'queued', position: 2 });
    await vi.advanceTimersByTimeAsync(1000);
    expect(state()).toEqual({ phase: 'queued', position: 1 });
  });

  it('is left for good', async () => {
    const { session, state, start, heartbeat, end } = setUp();
    start.mockResolvedValueOnce(queued(2));
    session.open();
    await vi.advanceTimersByTimeAsync(0);
    session.close();
    expect(end).toHaveBeenCalledExactlyOnceWith('s1', null, null, { closing: false });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(heartbeat).not.toHaveBeenCalled();
    expect(state()).toEqual({ phase: 'closed', isFinished: false });
  });
});

describe('playing', () => {
  it('sends heartbeats with its ticket and keeps the fresh one, without disturbing what plays', async () => {
    const { session, heartbeat, state } = await playing();
    const before = state();
    heartbeat.mockResolvedValueOnce(active('s1', 't2')).mockResolvedValueOnce(active('s1', 't3'));
    await vi.advanceTimersByTimeAsync(HEARTBEAT_SEC * 1000);
    expect(heartbeat).toHaveBeenLastCalledWith('s1', 't1');
    expect(session.streamUrl).toBe('/film?ticket=t2');
    expect(state()).toBe(before);
    await vi.advanceTimersByTimeAsync(HEARTBEAT_SEC * 1000);
    expect(heartbeat).toHaveBeenLastCalledWith('s1', 't2');
  });

  it('plays on while the server cannot be asked, and asks more often meanwhile', async () => {
    const { heartbeat, state } = await playing();
    heartbeat.mockRejectedValue(new NetworkError());
    await vi.advanceTimersByTimeAsync(HEARTBEAT_SEC * 1000 + 1000 + 2000);
    expect(heartbeat).toHaveBeenCalledTimes(3);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(state()).toEqual({ phase: 'active', id: 's1' });
    // Never more rarely than heartbeats are due.
    expect(heartbeat.mock.calls.length).toBeGreaterThanOrEqual(60);
    heartbeat.mockResolvedValue(active());
    await vi.advanceTimersByTimeAsync(HEARTBEAT_SEC * 1000);
    expect(state()).toEqual({ phase: 'active', id: 's1' });
  });

  it.each(['stopped', 'replaced', 'admin', 'revoked'])(
    'stops, and says why, when it was %s',
    async (reason) => {
      const { session, heartbeat, end, state, start } = await playing();
      heartbeat.mockRejectedValueOnce(over(reason));
      await vi.advanceTimersByTimeAsync(HEARTBEAT_SEC * 1000);
      expect(state()).toEqual({ phase: 'gone', reason });
      expect(session.streamUrl).toBeNull();
      await vi.advanceTimersByTimeAsync(600_000);
      expect(heartbeat).toHaveBeenCalledOnce();
      expect(end).not.toHaveBeenCalled();
      session.returned();
      expect(state()).toEqual({ phase: 'gone', reason });
      start.mockResolvedValueOnce(active('s2'));
      session.open();
      await vi.advanceTimersByTimeAsync(0);
      expect(state()).toEqual({ phase: 'active', id: 's2' });
    },
  );

  it.each(['expired', 'unknown'])(
    'goes on by itself when it was %s while it was looked at',
    async (reason) => {
      const { heartbeat, start, state } = await playing();
      heartbeat.mockResolvedValueOnce(active()).mockRejectedValueOnce(over(reason));
      start.mockResolvedValueOnce(active('s2'));
      await vi.advanceTimersByTimeAsync(2 * HEARTBEAT_SEC * 1000);
      expect(state()).toEqual({ phase: 'active', id: 's2' });
      // But not for ever: a session that ends before its first heartbeat is reported.
      heartbeat.mockRejectedValueOnce(over(reason));
      await vi.advanceTimersByTimeAsync(HEARTBEAT_SEC * 1000);
      expect(state()).toEqual({ phase: 'gone', reason });
    },
  );

  it('takes no slot for a hidden page until it is shown', async () => {
    const { session, heartbeat, start, state, visible } = await playing();
    heartbeat.mockResolvedValueOnce(active()).mockRejectedValueOnce(over('expired'));
    visible.now = false;
    await vi.advanceTimersByTimeAsync(2 * HEARTBEAT_SEC * 1000);
    expect(state()).toEqual({ phase: 'gone', reason: 'expired' });
    expect(start).toHaveBeenCalledOnce();
    start.mockResolvedValueOnce(active('s2'));
    session.returned();
    await vi.advanceTimersByTimeAsync(0);
    expect(state()).toEqual({ phase: 'active', id: 's2' });
  });

  it('is given back when the film is over', async () => {
    const { session, state, end } = await playing();
    session.close({ isFinished: true });
    expect(state()).toEqual({ phase: 'closed', isFinished: true });
    expect(end).toHaveBeenCalledOnce();
  });

  it('is given back with what the viewer lived through', async () => {
    const { session, end } = await playing();
    session.measure = () => QOE;
    session.close({ closing: true });
    expect(end).toHaveBeenCalledExactlyOnceWith('s1', 't1', QOE, { closing: true });
    session.close();
    expect(end).toHaveBeenCalledOnce();
  });
});

describe('renewing after an error of the player', () => {
  it('answers a URL with a fresh ticket', async () => {
    const { session, heartbeat } = await playing();
    heartbeat.mockResolvedValueOnce(active('s1', 't2'));
    expect(await session.renew()).toBe('/film?ticket=t2');
  });

  it('shares a heartbeat that is under way', async () => {
    const { session, heartbeat } = await playing();
    heartbeat.mockResolvedValueOnce(active('s1', 't2'));
    expect(await Promise.all([session.renew(), session.renew()])).toEqual([
      '/film?ticket=t2',
      '/film?ticket=t2',
    ]);
    expect(heartbeat).toHaveBeenCalledOnce();
  });

  it('says when it is over', async () => {
    const { session, heartbeat, state } = await playing();
    heartbeat.mockRejectedValueOnce(over('admin'));
    await expect(session.renew()).rejects.toBeInstanceOf(SessionOverError);
    expect(state()).toEqual({ phase: 'gone', reason: 'admin' });
  });

  it('reports when the state is unknown', async () => {
    const { session, heartbeat, state } = await playing();
    heartbeat.mockRejectedValueOnce(away());
    await expect(session.renew()).rejects.toMatchObject({ status: 503 });
    expect(state()).toEqual({ phase: 'active', id: 's1' });
  });
});

describe('answers that come too late', () => {
  const later = <T>(value: T, ms: number) =>
    new Promise<T>((resolve) => setTimeout(() => resolve(value), ms));

  it('bring nothing back that was closed', async () => {
    const { session, heartbeat, state } = await playing();
    heartbeat.mockReturnValueOnce(later(active(), 500));
    await vi.advanceTimersByTimeAsync(HEARTBEAT_SEC * 1000);
    session.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state()).toEqual({ phase: 'closed', isFinished: false });
    expect(session.streamUrl).toBeNull();
    expect(heartbeat).toHaveBeenCalledOnce();
  });

  it('don’t get into the way of the session that came after', async () => {
    const { session, heartbeat, start } = await playing();
    heartbeat
      .mockReturnValueOnce(later(active('s1', 'late'), 500))
      .mockReturnValueOnce(later(active('s2', 't5'), 5000));
    const first = session.renew().catch((error: unknown) => error);
    start.mockResolvedValueOnce(active('s2', 't4'));
    session.open();
    await vi.advanceTimersByTimeAsync(0);
    const second = session.renew();
    await vi.advanceTimersByTimeAsync(1000);
    const third = session.renew();
    await vi.advanceTimersByTimeAsync(5000);
    expect(await Promise.all([second, third])).toEqual(['/film?ticket=t5', '/film?ticket=t5']);
    expect(heartbeat).toHaveBeenCalledTimes(2);
    expect(await first).not.toContain('late');
  });
});
