import { listSubtitles } from '../../api/endpoints';
import { endLicence, listLicences, renewLicence, requestLicence } from '../../api/offline';
import { deviceName } from '../../lib/deviceName';
import { createPlaySession } from '../../playsession/usePlaySession';
import { isOnline, viewerId } from '../../session/viewer';
import { Database } from './database';
import { Downloads } from './downloads';
import type { DownloaderPort } from './protocol';
import { keepApp } from './serviceWorker';

let known: { userId: string; downloads: Downloads } | null = null;

/** Returns the downloads of the viewer who is logged in, or who was when there was a network; null without one. */
export function downloadsOfViewer(): Downloads | null {
  const userId = viewerId();
  if (userId === null || !globalThis.indexedDB) return null;
  if (known?.userId !== userId) known = { userId, downloads: createDownloads(userId) };
  return known.downloads;
}

function createDownloads(userId: string): Downloads {
  const downloads = new Downloads(userId, {
    database: new Database(),
    createWorker: () =>
      new Worker(new URL('./download.worker.ts', import.meta.url), { type: 'module' }) as DownloaderPort,
    createSession: createPlaySession,
    requestLicence,
    renewLicence,
    endLicence,
    listLicences,
    listSubtitles: (videoId) => listSubtitles(videoId, new AbortController().signal),
    fetch: (input, init) => fetch(input, init),
    deviceName,
    persist: async () => {
      keepApp().catch(() => undefined);
      await navigator.storage?.persist?.();
    },
  });
  const goOn = () => {
    if (isOnline()) downloads.goOn().catch(() => undefined);
  };
  void downloads.load().then(goOn, () => {
    downloads.films.value = [];
  });
  addEventListener('online', goOn);
  return downloads;
}
