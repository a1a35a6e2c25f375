export interface ChunkDeps {
  wait: (ms: number) => Promise<void>;
  /** Whether the server answers at all; a page that is loaded anew without it would be the browser's error page. */
  isServerThere: () => Promise<boolean>;
  /** Reloads the page, unless that has been tried in vain or would cost the viewer something. */
  tryReload: () => boolean;
  /** From now on a reload may be tried again. */
  loaded: () => void;
  onTrouble: (inTrouble: boolean) => void;
}

const DELAYS_MS = [500, 1500];
const LONGEST_MS = 30_000;

/**
 * Loads a part of the program. One that fails is asked for again, also while the server is away. If it is there and the
 * part still can't be had, an upgrade may have renamed it: then the page is loaded anew, once. Null when that did not
 * help either.
 */
export async function loadChunk<T>(load: () => Promise<T>, deps: ChunkDeps): Promise<T | null> {
  for (let failures = 0; ; ) {
    try {
      const chunk = await load();
      deps.loaded();
      deps.onTrouble(false);
      return chunk;
    } catch {
      failures += 1;
      deps.onTrouble(true);
    }
    if (failures > DELAYS_MS.length && (await deps.isServerThere())) {
      // What reloads the page never comes back here.
      if (deps.tryReload()) await new Promise(() => undefined);
      deps.onTrouble(false);
      return null;
    }
    await deps.wait(DELAYS_MS[failures - 1] ?? Math.min(1000 * 2 ** (failures - 1), LONGEST_MS));
  }
}
