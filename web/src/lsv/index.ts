import './lsv.css';
import type { VideoDetail } from '../api/types';
import { isOnline, viewerId } from '../session/viewer';
import { findMissing } from './capability';
import { createExchangeKeys } from './exchange';
import { ProtectedFilm } from './film';
import { Database } from './offline/database';
import { LicenceStore } from './offline/licences';
import { StoredParts } from './offline/storedParts';
import { missingText } from './sentences';
import { SessionKeys } from './sessionKeys';

export type Preparation = { film: ProtectedFilm } | { missing: string };

/** Makes what a protected film needs on this page, or says why this browser can't play it. */
export async function prepare(videoId: string): Promise<Preparation> {
  const missing = findMissing();
  if (missing !== null) return { missing: missingText(missing) };
  const stored = await findStored(videoId);
  if (stored) return { film: new ProtectedFilm(stored, null, stored) };
  try {
    const keys = new SessionKeys(videoId, await createExchangeKeys());
    return { film: new ProtectedFilm(keys, keys.publicKey) };
  } catch {
    return { missing: missingText('web-crypto') };
  }
}

/** Returns what is known of a viewer's film that is here as a whole, or null. */
export async function findKept(videoId: string): Promise<VideoDetail | null> {
  const userId = viewerId();
  const film = userId ? await new LicenceStore(new Database()).find(userId, videoId) : null;
  return film?.state === 'complete' ? film.video : null;
}

/**
 * Returns the film as this browser keeps it, if all of it is here. With a network, one whose licence allows nothing now
 * is played from the server instead.
 */
async function findStored(videoId: string): Promise<StoredParts | null> {
  const userId = viewerId();
  if (!userId || !globalThis.indexedDB) return null;
  try {
    const stored = await StoredParts.find(new Database(), userId, videoId);
    if (!stored || !isOnline() || (await stored.over()) === null) return stored;
    stored.dispose();
  } catch {
    // A browser that keeps nothing, as some do in private windows.
  }
  return null;
}
