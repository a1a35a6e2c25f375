export interface ChunkDeps {
  wait: (ms: number) => Promise<void>;
  /** Whether the server answers at all; a reload without it would show the browser's error page. */
  isServerThere: () => Promise<boolean>;
  /** Reloads the page, unless that has failed before or would lose the viewer's work. */
  tryReload: () => boolean;
  /** Allows another reload from now on. */
  loaded: () => void;
  onTrouble: (inTrouble: boolean) => void;
}

const DELAYS_MS = [500, 1500];
const LONGEST_MS = 30_000;

/**
 * Loads a chunk of the code. A chunk that fails is requested again, also while the server is away. If the server answers
 * and the chunk still fails, an upgrade may have renamed it: then the page is reloaded, once. Null if that did not help.
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
      // A reload of the page never returns here.
      if (deps.tryReload()) await new Promise(() => undefined);
      deps.onTrouble(false);
      return null;
    }
    await deps.wait(DELAYS_MS[failures - 1] ?? Math.min(1000 * 2 ** (failures - 1), LONGEST_MS));
  }
}
