import { readProgress, saveProgress } from '../../api/endpoints';
import { ApiError, isPassing } from '../../api/errors';
import type { ProgressRecord, ProgressWrite } from '../../api/types';
import { storage } from '../../lib/storage';
import { UNSENT_KEY } from '../../lib/unsentPositions';
import { Database } from './database';
import { filmKey, type KeptPosition, maySend } from './licences';

const COMPLETED_RATIO = 0.95;

/** Keeps where a viewer stopped. What was kept by a later session, or a later write, stays. */
export async function keepPosition(
  database: Database,
  userId: string,
  videoId: string,
  write: ProgressWrite,
  isSent: boolean,
  now = Date.now(),
): Promise<void> {
  const key = filmKey(userId, videoId);
  if (!isSent) storage.set(UNSENT_KEY, '1');
  await database.update<KeptPosition>('positions', key, (before) =>
    before && !isNewer(write, before) ? null : { ...write, userId, videoId, at: now, isSent },
  );
}

/** Ids of sessions that began later sort after those that began before. The same write may have arrived since. */
function isNewer({ session_id, seq }: ProgressWrite, before: KeptPosition): boolean {
  return session_id > before.session_id || (session_id === before.session_id && seq >= before.seq);
}

/** Returns a kept position as the server would. */
export async function positionOf(
  database: Database,
  userId: string,
  videoId: string,
): Promise<ProgressRecord | null> {
  const kept = await database.get<KeptPosition>('positions', filmKey(userId, videoId));
  if (!kept) return null;
  const share = kept.duration > 0 ? kept.position / kept.duration : 0;
  return {
    content_id: videoId,
    position: kept.position,
    duration: kept.duration,
    progress_percent: Math.floor(100 * share),
    completed: share >= COMPLETED_RATIO,
    updated_at: new Date(kept.at).toISOString(),
  };
}

interface Server {
  /** Returns the position that it has, and its moment now, in milliseconds since 1970, if it says so. */
  read: (videoId: string) => Promise<{ record: ProgressRecord | null; moment: number | null }>;
  save: (videoId: string, write: ProgressWrite) => Promise<void>;
}

const SERVER: Server = {
  read: readProgress,
  save: (videoId, write) => saveProgress(videoId, write, false),
};

/**
 * Sends a viewer's positions that did not arrive when they were made. One that was saved later elsewhere stays: it is
 * asked for before, and the server ignores sessions that began before the newest. Rejects while the server is away.
 */
export async function sendPositions(
  userId: string,
  database = new Database(),
  server: Server = SERVER,
): Promise<void> {
  const kept = await database.all<KeptPosition>('positions');
  for (const each of kept) {
    if (each.userId !== userId || each.isSent) continue;
    await send(each, server);
    const key = filmKey(userId, each.videoId);
    // A player may have gone on in the meantime.
    await database.update<KeptPosition>('positions', key, (now) =>
      now?.session_id === each.session_id && now.seq === each.seq ? { ...now, isSent: true } : null,
    );
  }
  const left = await database.all<KeptPosition>('positions');
  if (left.every(({ isSent }) => isSent)) storage.set(UNSENT_KEY, '');
}

async function send(kept: KeptPosition, server: Server): Promise<void> {
  try {
    const { record, moment } = await server.read(kept.videoId);
    const now = Date.now();
    if (!maySend(kept, record, moment === null ? 0 : now - moment, now)) return;
    const { position, duration, session_id, seq } = kept;
    await server.save(kept.videoId, { position, duration, session_id, seq });
  } catch (error) {
    // What the server refuses, as for a film that is gone, it would refuse again.
    if (!(error instanceof ApiError) || isPassing(error) || error.status === 401) throw error;
  }
}
