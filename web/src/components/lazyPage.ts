import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { lazy } from 'preact-iso';
import { loadChunk } from '../lib/chunks';
import { whenSeen } from '../lib/whenSeen';
import BrokenPage from '../pages/BrokenPage';
import { overallPercent } from '../upload/queue';

const RELOADED_KEY = 'marquee.reloaded';

/** Whether a page is being loaded whose code can't be fetched right now. */
export const chunkTrouble = signal(false);

/** Makes a page whose code is loaded when it is first shown. */
export function lazyPage<Props>(load: () => Promise<{ default: ComponentType<Props> }>) {
  return lazy(async () => (await loadCode(load)) ?? { default: BrokenPage as ComponentType<Props> });
}

/** Loads a part of the code when it is needed; null if the server is there and that part is not. */
export function loadCode<T>(load: () => Promise<T>): Promise<T | null> {
  return loadChunk(load, {
    wait: (ms) => new Promise((resolve) => whenSeen(ms, resolve, { retries: true })),
    isServerThere,
    tryReload,
    loaded: () => forget(RELOADED_KEY),
    onTrouble: (inTrouble) => {
      chunkTrouble.value = inTrouble;
    },
  });
}

async function isServerThere(): Promise<boolean> {
  try {
    return (await fetch('/', { method: 'HEAD', cache: 'no-store' })).ok;
  } catch {
    return false;
  }
}

/** Reloads once; not without working storage, as nothing would then stop the page from reloading itself endlessly. */
function tryReload(): boolean {
  const isUploading = overallPercent.peek() !== null;
  try {
    if (isUploading || sessionStorage.getItem(RELOADED_KEY) !== null) return false;
    sessionStorage.setItem(RELOADED_KEY, '1');
    if (sessionStorage.getItem(RELOADED_KEY) === null) return false;
  } catch {
    return false;
  }
  location.reload();
  return true;
}

function forget(key: string): void {
  try {
    sessionStorage.removeItem(key);
  } catch {
    // Storage is blocked.
  }
}
