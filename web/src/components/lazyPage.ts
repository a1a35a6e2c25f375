import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { lazy } from 'preact-iso';
import { loadChunk } from '../lib/chunks';
import { whenSeen } from '../lib/whenSeen';
import BrokenPage from '../pages/BrokenPage';
import { overallPercent } from '../upload/queue';

const RELOADED_KEY = 'marquee.reloaded';

/** A page is on its way, but its program can't be had right now. */
export const chunkTrouble = signal(false);

/** A page whose program is loaded when it is first shown. */
export function lazyPage<Props>(load: () => Promise<{ default: ComponentType<Props> }>) {
  const loadPage = async () => {
    const page = await loadChunk(load, {
      wait: (ms) => new Promise((resolve) => whenSeen(ms, resolve, { retries: true })),
      isServerThere,
      tryReload,
      loaded: () => forget(RELOADED_KEY),
      onTrouble: (inTrouble) => {
        chunkTrouble.value = inTrouble;
      },
    });
    return page ?? { default: BrokenPage as ComponentType<Props> };
  };
  return lazy(loadPage);
}

async function isServerThere(): Promise<boolean> {
  try {
    return (await fetch('/', { method: 'HEAD', cache: 'no-store' })).ok;
  } catch {
    return false;
  }
}

/** Where nothing can be kept, nothing would stop the page from loading itself again and again. */
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
    // It was not kept either.
  }
}
