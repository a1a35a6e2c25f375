import type { Bookmark } from '../api/me';

/** Adds a bookmark to those of one film, or puts it in the place of its older state; by position. */
export function withBookmark(bookmarks: readonly Bookmark[], added: Bookmark): Bookmark[] {
  return [...bookmarks.filter(({ id }) => id !== added.id), added].sort(
    (one, other) => one.position_sec - other.position_sec || one.created_at.localeCompare(other.created_at),
  );
}
