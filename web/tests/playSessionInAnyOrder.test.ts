import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NetworkError } from '../src/api/errors';
import { PlaySession } from '../src/playsession/playSession';
import { active, away, full, over, queued } from './playSessionSupport';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('whatever happens, in whatever order', () => {
  /** A small generator of random numbers (mulberry32), so that a failure can be repeated. */
  function dice(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  it.each(Array.from({ length: 150 }, (_, seed) => seed))('no slot is left behind (%i)', async (seed) => {
    const random = dice(seed);
    const pick = <T>(...choices: T[]): T => choices[Math.floor(random() * choices.length)] as T;
    const held = new Set<string>();
    let granted = 0;
    let asking = 0;

    const answer = async <T>(give: () => T): Promise<T> => {
      await new Promise((resolve) => setTimeout(resolve, random() * 3000));
      return give();
    };
    const session: PlaySession = new PlaySession({
      start: () =>
        answer(() => {
          const fate = random();
          if (fate < 0.15) throw full(pick('user', 'server'));
          if (fate < 0.3) throw pick<Error>(away(), new NetworkError());
          granted += 1;
          held.add(`s${granted}`);
          return random() < 0.3 ? queued(3, `s${granted}`) : active(`s${granted}`);
        }),
      heartbeat: async (id) => {
        asking += 1;
        expect(asking, 'heartbeats at a time').toBeLessThanOrEqual(2);
        try {
          return await answer(() => {
            const fate = random();
            if (fate < 0.15) {
              held.delete(id);
              throw over(pick('stopped', 'admin', 'expired', 'unknown'));
            }
            if (fate < 0.3) throw pick<Error>(away(), new NetworkError());
            if (!held.has(id)) throw over('ended');
            return random() < 0.3 ? queued(1, id) : active(id);
          });
        } finally {
          asking -= 1;
        }
      },
      end: (id) => {
        expect(held.delete(id), `${id} is ended once`).toBe(true);
      },
      later: (delayMs, task) => {
        const timer = setTimeout(task, delayMs);
        return () => clearTimeout(timer);
      },
      random,
      isVisible: () => random() < 0.7,
    });

    for (let step = 0; step < 60; step++) {
      pick(
        () => session.open(),
        () => session.close(),
        () => session.close({ closing: true }),
        () => session.returned(),
        () => void session.renew().catch(() => undefined),
        () => undefined,
        () => undefined,
      )();
      await vi.advanceTimersByTimeAsync(random() * 8000);
      const { phase } = session.state.value;
      expect(session.streamUrl !== null, `a URL while ${phase}`).toBe(phase === 'active');
    }
    session.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([...held]).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
