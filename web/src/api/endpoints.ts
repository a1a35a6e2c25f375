import { isMissing } from './errors';
import { api } from './index';
import type {
  Health,
  HistoryEntry,
  Page,
  ProgressRecord,
  ProgressWrite,
  Registration,
  SearchPage,
  StreamInfo,
  SubtitleTrack,
  Suggestions,
  User,
  UserStatus,
  VideoDetail,
  VideoSummary,
} from './types';

type Abortable = { signal?: AbortSignal };

function withQuery(path: string, params: Record<string, string | number | undefined>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== '') search.set(name, String(value));
  }
  return search.size > 0 ? `${path}?${search}` : path;
}

const videoPath = (id: string) => `/api/videos/${encodeURIComponent(id)}`;
const progressPath = (id: string) => `/api/progress/${encodeURIComponent(id)}`;

// auth

export function login(login_id: string, password: string): Promise<{ user: User }> {
  return api.json('/api/auth/login', {
    method: 'POST',
    body: { login_id, password },
    authenticated: false,
  });
}

export function register(login_id: string, password: string, display_name: string): Promise<Registration> {
  return api.json('/api/auth/register', {
    method: 'POST',
    body: { login_id, password, display_name },
    authenticated: false,
  });
}

/** Sets a new password with a code from an administrator. */
export async function resetPassword(code: string, password: string): Promise<void> {
  await api.request('/api/auth/reset', { method: 'POST', body: { code, password }, authenticated: false });
}

export async function logout(): Promise<void> {
  await api.request('/api/auth/logout', { method: 'POST', authenticated: false });
}

export const getMe = (): Promise<User> => api.json('/api/users/me');

// catalog

export interface VideoQuery {
  query?: string;
  page?: number;
  pageSize?: number;
}

export function listVideos(
  { query, page, pageSize }: VideoQuery,
  options: Abortable = {},
): Promise<Page<VideoSummary>> {
  return api.json(withQuery('/api/videos', { query, page, page_size: pageSize }), options);
}

export const suggest = (q: string, options: Abortable = {}): Promise<Suggestions> =>
  api.json(withQuery('/api/search/suggest', { q }), options);

export function searchVideos(
  { query: q, page, pageSize }: VideoQuery,
  options: Abortable = {},
): Promise<SearchPage> {
  return api.json(withQuery('/api/search', { q, kind: 'video', page, page_size: pageSize }), options);
}

export const getVideo = (id: string, options: Abortable = {}): Promise<VideoDetail> =>
  api.json(videoPath(id), options);

export async function listSubtitles(id: string, signal: AbortSignal): Promise<SubtitleTrack[]> {
  const { items } = await api.json<{ items: SubtitleTrack[] }>(`${videoPath(id)}/subtitles`, { signal });
  return items;
}

export async function deleteVideo(id: string): Promise<void> {
  await api.request(videoPath(id), { method: 'DELETE' });
}

/** Processes a failed video again; refused when its file was unusable and has been deleted. */
export const reprocessVideo = (id: string): Promise<VideoDetail> =>
  api.json(`${videoPath(id)}/process`, { method: 'POST' });

// stream

export const getStreamInfo = (id: string, options: Abortable = {}): Promise<StreamInfo> =>
  api.json(`${videoPath(id)}/stream/info`, options);

// progress

let lastWrite: Promise<unknown> = Promise.resolve();

export function saveProgress(videoId: string, body: ProgressWrite, keepalive: boolean): Promise<void> {
  const write = api.request(progressPath(videoId), { method: 'PUT', body, keepalive }).then(() => undefined);
  lastWrite = write.catch(() => undefined);
  return write;
}

/** Reading right after leaving the player would otherwise overtake the player's last write and show a stale position. */
export async function afterLastWrite(): Promise<void> {
  await Promise.race([lastWrite, new Promise((resolve) => setTimeout(resolve, 1500))]);
}

export async function getProgress(videoId: string, options: Abortable = {}): Promise<ProgressRecord | null> {
  await afterLastWrite();
  return api.optional(progressPath(videoId), options);
}

/** Returns a position, and when the answer was made by the server's clock: milliseconds since 1970, null if unknown. */
export async function readProgress(
  videoId: string,
): Promise<{ record: ProgressRecord | null; moment: number | null }> {
  await afterLastWrite();
  try {
    const response = await api.request(progressPath(videoId));
    const moment = Date.parse(response.headers.get('Date') ?? '');
    const record = response.status === 204 ? null : ((await response.json()) as ProgressRecord);
    return { record, moment: Number.isNaN(moment) ? null : moment };
  } catch (error) {
    if (isMissing(error)) return { record: null, moment: null };
    throw error;
  }
}

export async function getHistory(pageSize: number, options: Abortable = {}): Promise<Page<HistoryEntry>> {
  await afterLastWrite();
  return api.json(withQuery('/api/users/me/history', { page: 1, page_size: pageSize }), options);
}

// administration

export function listUsers(
  filter: { status?: UserStatus; page?: number; pageSize?: number },
  options: Abortable = {},
): Promise<Page<User>> {
  const { status, page, pageSize } = filter;
  return api.json(withQuery('/api/users', { status, page, page_size: pageSize }), options);
}

export async function approveUser(id: string): Promise<void> {
  await api.request(`/api/users/${encodeURIComponent(id)}/approve`, { method: 'POST' });
}

/** An unhealthy platform answers 503 with the same body. */
export const getHealth = (options: Abortable = {}): Promise<Health> =>
  api.json('/api/health', { ...options, accept: 503 });
