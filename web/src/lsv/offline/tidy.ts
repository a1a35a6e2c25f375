import type { Database } from './database';
import { filmKey, LicenceStore, type StoredFilm, termOf } from './licences';
import type { PackFiles } from './packFile';
import type { Tabs } from './tabs';

/** How long the films of a viewer who does not come back are kept after their licences have ended. */
const KEPT_AFTER_END_SEC = 30 * 24 * 3600;

export interface Room {
  database: Database;
  packs: Pick<PackFiles, 'names' | 'remove'>;
  tabs: Tabs;
}

/**
 * Gives back the room of what is of no use any more: packs and pictures of films without a row, as after a crash, and
 * films of other viewers, whose accounts may be gone, long after their licences have ended. `now` is in seconds since 1970.
 */
export async function tidy(room: Room, userId: string, now = Date.now() / 1000): Promise<void> {
  const films = await room.database.all<StoredFilm>('films');
  const isLeft = (film: StoredFilm) =>
    film.userId !== userId && termOf(film.licence).expiresAt + KEPT_AFTER_END_SEC < now;
  await forget(room, films.filter(isLeft));
}

/** Removes all films of an account that was deleted. */
export async function forgetAccount(room: Room, userId: string): Promise<void> {
  await forget(room, await new LicenceStore(room.database).ofUser(userId));
}

async function forget(room: Room, films: StoredFilm[]): Promise<void> {
  const licences = new LicenceStore(room.database);
  for (const { userId, video } of films) {
    await licences.delete(userId, video.id);
    // A tab that still works on it stops.
    room.tabs.tell(filmKey(userId, video.id));
  }
  const names = new Set([...(await room.packs.names()), ...(await room.database.keys('extras'))]);
  // Others, such as that of the self-test, are no film's.
  for (const name of names) if (name.includes('.')) await removeOrphan(room, name);
}

async function removeOrphan({ database, packs, tabs }: Room, name: string): Promise<void> {
  const hasRow = async () => (await database.get('films', name)) !== null;
  if (await hasRow()) return;
  const free = await tabs.hold(name);
  if (!free) return;
  try {
    // A row is made before its pack: what has none now, while no tab has the film, is of no use.
    if (await hasRow()) return;
    await packs.remove(name);
    await database.delete('extras', name);
  } catch {
    // Another tab has the file open. The next visit tries again.
  } finally {
    free();
  }
}
