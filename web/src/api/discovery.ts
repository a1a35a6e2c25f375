import { afterLastWrite } from './endpoints';
import { api } from './index';
import type { Page, VideoSummary } from './types';

type Abortable = { signal?: AbortSignal };

export interface EpisodeNumbers {
  series_id: string | null;
  season: number | null;
  episode: number | null;
}

export type Film = VideoSummary & EpisodeNumbers;

export interface HomeItem extends Film {
  /** Null when the viewer never watched it, like the two below. */
  position_sec: number | null;
  progress_percent: number | null;
  completed: boolean | null;
}

export interface HomeRow {
  kind: string;
  key: string;
  label: string;
  title: string;
  items: HomeItem[];
  /** The path of the next page. */
  next: string | null;
}

export interface Recommendation extends Film {
  reason: 'same_series' | 'co_watched' | 'shared_tags';
}

export interface SeriesDetail {
  id: string;
  title: string;
  description: string;
  tags: string[];
  episode_count: number;
  thumbnail_url: string | null;
  seasons: { season: number | null; episodes: Film[] }[];
}

export interface EpisodePlace {
  series: { id: string; title: string };
  season: number | null;
  episode: number | null;
  previous: Film | null;
  next: Film | null;
}

export interface Highlight {
  id: string;
  video_id: string;
  start: number;
  end: number;
  category: string;
  title: string;
  players: string[];
  pot_size: number | null;
}

export interface ListedHighlight extends Highlight {
  video: Film;
}

export interface HighlightFilter {
  category: string;
  player: string;
  sort: '-pot_size' | '-created_at';
  page: number;
}

const id = encodeURIComponent;

export async function getHome(options: Abortable = {}): Promise<{ rows: HomeRow[] }> {
  await afterLastWrite();
  return api.json('/api/home', options);
}

export const getMoreOfRow = (next: string): Promise<HomeRow> => api.json(next);

export const getSeries = (seriesId: string, options: Abortable = {}): Promise<SeriesDetail> =>
  api.json(`/api/series/${id(seriesId)}`, options);

export const getPlace = (videoId: string, options: Abortable = {}): Promise<EpisodePlace> =>
  api.json(`/api/videos/${id(videoId)}/series`, options);

export const getRecommendations = (
  videoId: string,
  options: Abortable = {},
): Promise<{ items: Recommendation[] }> => api.json(`/api/videos/${id(videoId)}/recommendations`, options);

export const getHighlights = (videoId: string, options: Abortable = {}): Promise<{ items: Highlight[] }> =>
  api.json(`/api/videos/${id(videoId)}/highlights`, options);

/** How many highlights a page of their list has. */
export const HIGHLIGHTS_A_PAGE = 24;

export function listHighlights(
  filter: HighlightFilter,
  options: Abortable = {},
): Promise<Page<ListedHighlight>> {
  const search = new URLSearchParams({
    sort: filter.sort,
    page: String(filter.page),
    page_size: String(HIGHLIGHTS_A_PAGE),
  });
  if (filter.category) search.set('category', filter.category);
  if (filter.player) search.set('player', filter.player);
  return api.json(`/api/highlights?${search}`, options);
}

const listPath = (videoId: string) => `/api/users/me/watchlist/${id(videoId)}`;

export const isOnWatchlist = async (videoId: string, options: Abortable = {}): Promise<boolean> =>
  (await api.optional(listPath(videoId), options)) !== null;

export async function setOnWatchlist(videoId: string, wanted: boolean): Promise<void> {
  await api.request(listPath(videoId), { method: wanted ? 'PUT' : 'DELETE' });
}

export const listWatchlist = (
  page: number,
  options: Abortable = {},
): Promise<Page<{ video_id: string; video: Film }>> =>
  api.json(`/api/users/me/watchlist?page=${page}&page_size=24`, options);
