import { describe, expect, it, vi } from 'vitest';
import { type ChunkDeps, loadChunk } from '../src/lib/chunks';

const NEVER = 'never settled';

function setUp({ isServerThere = true, mayReload = true } = {}) {
  const waits: number[] = [];
  const deps = {
    wait: vi.fn(async (ms: number) => void waits.push(ms)),
    isServerThere: vi.fn(async () => isServerThere),
    tryReload: vi.fn(() => mayReload),
    loaded: vi.fn(),
    onTrouble: vi.fn(),
  } satisfies ChunkDeps;
  return { deps, waits };
}

/** A load that fails so many times. */
function failing(times: number) {
  let left = times;
  return vi.fn(async () => {
    if (left-- > 0) throw new TypeError('Failed to fetch dynamically imported module');
    return 'page';
  });
}

/** The outcome, or that there is none: a page that reloads itself. */
const outcome = (promise: Promise<unknown>) =>
  Promise.race([promise, new Promise((resolve) => setTimeout(() => resolve(NEVER), 20))]);

describe('loadChunk', () => {
  it('loads at once what is there', async () => {
    const { deps, waits } = setUp();
    expect(await loadChunk(failing(0), deps)).toBe('page');
    expect(waits).toEqual([]);
    expect(deps.loaded).toHaveBeenCalledOnce();
  });

  it('tries again before it does anything else', async () => {
    const { deps, waits } = setUp();
    expect(await loadChunk(failing(2), deps)).toBe('page');
    expect(waits).toEqual([500, 1500]);
    expect(deps.tryReload).not.toHaveBeenCalled();
    expect(deps.onTrouble.mock.calls).toEqual([[true], [true], [false]]);
  });

  it('reloads the page when the server is there and the chunk is not', async () => {
    const { deps } = setUp();
    expect(await outcome(loadChunk(failing(9), deps))).toBe(NEVER);
    expect(deps.tryReload).toHaveBeenCalledOnce();
  });

  it('says so when a reload is of no use', async () => {
    const { deps } = setUp({ mayReload: false });
    expect(await outcome(loadChunk(failing(9), deps))).toBeNull();
    expect(deps.loaded).not.toHaveBeenCalled();
    expect(deps.onTrouble).toHaveBeenLastCalledWith(false);
  });

  it('waits for a server that is away, ever longer, and reloads nothing', async () => {
    const { deps, waits } = setUp({ isServerThere: false });
    expect(await loadChunk(failing(8), deps)).toBe('page');
    expect(waits).toEqual([500, 1500, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(deps.tryReload).not.toHaveBeenCalled();
  });
});
