import { describe, expect, it } from 'vitest';
import { ApiError } from '../src/api/errors';
import { runBulk } from '../src/lib/bulk';

const limited = (retryAfterSec: number | null) => new ApiError(429, 'RATE_LIMITED', '', {}, retryAfterSec);

function waits() {
  const waited: number[] = [];
  return { waited, wait: async (ms: number) => void waited.push(ms) };
}

describe('a bulk change', () => {
  it('does one after the other and reports its progress', async () => {
    let running = 0;
    const progress: number[] = [];
    const outcome = await runBulk(
      [1, 2, 3],
      async () => {
        running += 1;
        expect(running).toBe(1);
        await Promise.resolve();
        running -= 1;
      },
      { wait: waits().wait, onProgress: (finished) => progress.push(finished) },
    );
    expect(outcome).toEqual({ done: [1, 2, 3], failed: [] });
    expect(progress).toEqual([1, 2, 3]);
  });

  it('goes on after a failure and names it', async () => {
    const error = new ApiError(403, 'AUTH_FORBIDDEN', 'no');
    const task = async (item: number) => {
      if (item === 2) throw error;
    };
    const outcome = await runBulk([1, 2, 3], task, waits());
    expect(outcome).toEqual({ done: [1, 3], failed: [{ item: 2, error }] });
  });

  it('waits as long as a limit asks for', async () => {
    const { waited, wait } = waits();
    const answers = [limited(7), limited(null)];
    const task = async () => {
      const answer = answers.shift();
      if (answer) throw answer;
    };
    expect((await runBulk(['a', 'b'], task, { wait })).done).toEqual(['a', 'b']);
    expect(waited).toEqual([7000, 2000]);
  });

  it('gives an item up after five waits', async () => {
    const { waited, wait } = waits();
    const task = async () => {
      throw limited(1);
    };
    const outcome = await runBulk(['a'], task, { wait });
    expect(outcome.failed).toHaveLength(1);
    expect(waited).toHaveLength(5);
  });
});
