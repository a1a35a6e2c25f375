import { afterLastWrite } from './endpoints';
import { api } from './index';
import type { HistoryEntry, Page, User } from './types';

type Abortable = { signal?: AbortSignal };

export const PAGE_SIZE = 24;

export interface Bookmark {
  id: string;
  video_id: string;
  position_sec: number;
  note: string;
  created_at: string;
  /** Null when the film is gone. */
  video: HistoryEntry['video'];
}

export interface PointEntry {
  /** 1, 2, 3 … */
  number: number;
  kind: 'view' | 'adjustment';
  points: number;
  /** After this line. */
  balance: number;
  video_id: string | null;
  reason: string | null;
  created_at: string;
}

export type Ledger = Page<PointEntry> & { balance: number };

const id = encodeURIComponent;
const paged = (page: number) => `page=${page}&page_size=${PAGE_SIZE}`;

export async function listHistory(page: number, options: Abortable = {}): Promise<Page<HistoryEntry>> {
  await afterLastWrite();
  return api.json(`/api/users/me/history?${paged(page)}`, options);
}

/** Removes one film from the history, or all of them. */
export async function eraseHistory(videoId?: string): Promise<void> {
  const query = videoId === undefined ? '' : `?video_id=${id(videoId)}`;
  await api.request(`/api/users/me/history${query}`, { method: 'DELETE' });
}

export const listBookmarks = (page: number, options: Abortable = {}): Promise<Page<Bookmark>> =>
  api.json(`/api/users/me/bookmarks?${paged(page)}`, options);

/** Returns the first hundred bookmarks of a film, by position. */
export const listBookmarksOf = (videoId: string, options: Abortable = {}): Promise<Page<Bookmark>> =>
  api.json(`/api/users/me/bookmarks?video_id=${id(videoId)}&page=1&page_size=100`, options);

export const addBookmark = (videoId: string, positionSec: number, note: string): Promise<Bookmark> =>
  api.json('/api/users/me/bookmarks', {
    method: 'POST',
    body: { video_id: videoId, position_sec: positionSec, note },
  });

export const editBookmark = (bookmarkId: string, note: string): Promise<Bookmark> =>
  api.json(`/api/users/me/bookmarks/${id(bookmarkId)}`, { method: 'PATCH', body: { note } });

export async function deleteBookmark(bookmarkId: string): Promise<void> {
  await api.request(`/api/users/me/bookmarks/${id(bookmarkId)}`, { method: 'DELETE' });
}

export const getPoints = (page: number, options: Abortable = {}): Promise<Ledger> =>
  api.json(`/api/users/me/points?${paged(page)}`, options);

export const changeName = (display_name: string): Promise<User> =>
  api.json('/api/users/me', { method: 'PATCH', body: { display_name } });

/** Ends every other login session, too. */
export const changePassword = (current_password: string, new_password: string): Promise<User> =>
  api.json('/api/users/me', { method: 'PATCH', body: { current_password, new_password } });

export async function deleteAccount(): Promise<void> {
  await api.request('/api/users/me', { method: 'DELETE' });
}
