import { effect } from '@preact/signals';
import { getMe, listSubtitles } from '../../api/endpoints';
import { endLicence, listLicences, renewLicence, requestLicence } from '../../api/offline';
import { deviceName } from '../../lib/deviceName';
import { createPlaySession } from '../../playsession/usePlaySession';
import { loadSession, session, VIEWER_KEY } from '../../session/session';
import { isOnline, viewerId } from '../../session/viewer';
import { Database } from './database';
import { Downloads } from './downloads';
import { PackFiles } from './packFile';
import type { DownloaderPort } from './protocol';
import { keepApp } from './serviceWorker';
import { tabsOfBrowser } from './tabs';
import { forgetAccount, tidy } from './tidy';
import { ViewerDownloads } from './viewerDownloads';

const own = new ViewerDownloads(createDownloads);
const tabs = tabsOfBrowser();
const room = { database: new Database(), packs: new PackFiles(), tabs };

/** Returns the downloads of the viewer who is logged in, or who was when there was a network; null without one. */
export function downloadsOfViewer(): Downloads | null {
  // The page is drawn again when another viewer is here.
  void session.value;
  return globalThis.indexedDB ? own.of(viewerId()) : null;
}

/** Gives back the room of what no viewer of this browser can use any more. */
export async function tidyDownloads(): Promise<void> {
  const userId = viewerId();
  if (userId !== null && globalThis.indexedDB) await tidy(room, userId);
}

/** Removes the downloads of an account that was deleted. */
export async function forgetDownloads(userId: string): Promise<void> {
  own.hear(null);
  if (globalThis.indexedDB) await forgetAccount(room, userId);
}

effect(() => {
  void session.value;
  own.follow(viewerId());
});

addEventListener('storage', ({ key, newValue }) => {
  // The cookies are those of the other viewer by now, in this tab too.
  if (key === VIEWER_KEY && own.hear(newValue || null)) void loadSession();
});

function createDownloads(userId: string): Downloads {
  const downloads = new Downloads(userId, {
    database: room.database,
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
    persist: async () => navigator.storage?.persist?.(),
    keepApp: () => void keepApp().catch(() => undefined),
    isViewer: async (id) => (await getMe()).id === id,
    tabs,
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
