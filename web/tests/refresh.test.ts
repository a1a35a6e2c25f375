import { describe, expect, it, vi } from 'vitest';
import { type RefreshDeps, SessionRefresher } from '../src/api/refresh';

function setUp(send: () => Promise<number>, shared = { last: 0 }) {
  let clock = 1000;
  const deps: RefreshDeps = {
    send: vi.fn(send),
    exclusive: (task) => task(),
    lastRefresh: () => shared.last,
    recordRefresh: (instant) => {
      shared.last = instant;
    },
    now: () => clock++,
  };
  return { deps, shared, refresher: new SessionRefresher(deps) };
}

describe('SessionRefresher', () => {
  it('sends one request for callers at the same time', async () => {
    const { deps, refresher } = setUp(async () => 200);
    const outcomes = await Promise.all([refresher.refresh(1), refresher.refresh(2), refresher.refresh(3)]);
    expect(outcomes).toEqual(['refreshed', 'refreshed', 'refreshed']);
    expect(deps.send).toHaveBeenCalledTimes(1);
  });

  it('uses what another tab has done since the failed request was sent', async () => {
    const { deps, refresher } = setUp(async () => 200, { last: 500 });
    expect(await refresher.refresh(400)).toBe('refreshed');
    expect(deps.send).not.toHaveBeenCalled();
  });

  it('tells a refused session from a server that is away', async () => {
    expect(await setUp(async () => 401).refresher.refresh(1)).toBe('denied');
    expect(await setUp(async () => 503).refresher.refresh(1)).toBe('unreachable');
    expect(await setUp(() => Promise.reject(new TypeError())).refresher.refresh(1)).toBe('unreachable');
  });

  it('does not call a session lost that a log-in renewed meanwhile', async () => {
    const shared = { last: 0 };
    const { refresher } = setUp(async () => {
      shared.last = 2000;
      return 401;
    }, shared);
    expect(await refresher.refresh(1)).toBe('refreshed');
  });

  it('refreshes ahead of time only when the last one is old', async () => {
    const { deps, refresher } = setUp(async () => 200, { last: 900 });
    await refresher.ensureFresh(500);
    expect(deps.send).not.toHaveBeenCalled();
    await refresher.ensureFresh(50);
    expect(deps.send).toHaveBeenCalledTimes(1);
  });

  it('can refresh again later', async () => {
    const { deps, refresher } = setUp(async () => 200);
    await refresher.refresh(1);
    await refresher.refresh(9999);
    expect(deps.send).toHaveBeenCalledTimes(2);
  });
});
