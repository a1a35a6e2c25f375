import { addressOf, answer, id, type SeriesName, send } from './admin';
import type { Highlight } from './discovery';
import { api } from './index';
import type { Page, SubtitleTrack, VideoDetail } from './types';

type Abortable = { signal?: AbortSignal };

// Protection

/** A video with its files, and how far the pipeline is, which only its uploader and administrators see. */
export interface ManagedVideo extends VideoDetail {
  files: { kind: 'source' | 'lsv' }[];
  jobs: { kind: string; state: string; reason: string; updated_at: string }[];
}

export const getManagedVideo = (videoId: string, options: Abortable = {}): Promise<ManagedVideo> =>
  api.json(`/api/videos/${id(videoId)}`, options);

/** Has a film encrypted; it can be watched meanwhile. */
export const protectFilm = (videoId: string): Promise<ManagedVideo> =>
  answer('POST', `/api/videos/${id(videoId)}/protect`);

/** Has a protected film encrypted again with another key. */
export const rekeyFilm = (videoId: string): Promise<ManagedVideo> =>
  answer('POST', `/api/videos/${id(videoId)}/rekey`);

/** Has a protected film served as it was brought in again. */
export const unprotectFilm = (videoId: string): Promise<ManagedVideo> =>
  answer('POST', `/api/videos/${id(videoId)}/unprotect`);

// Titles

export interface TitleTemplate {
  name: string;
  text: string;
}

export type TitleChoice = { template: string } & ({ video_ids: string[] } | { series_id: string });

export interface TitleProposal {
  video_id: string;
  before: string;
  /** Null when it can't be made. */
  after: string | null;
  /** The field of the template that is empty for this video. */
  missing: string | null;
}

export const listTitleTemplates = (options: Abortable = {}): Promise<{ items: TitleTemplate[] }> =>
  api.json('/api/titles/templates', options);

export const previewTitles = (
  choice: TitleChoice,
  options: Abortable = {},
): Promise<{ items: TitleProposal[] }> =>
  api.json('/api/titles/preview', { method: 'POST', body: choice, ...options });

/** Returns those that have changed. */
export const applyTitles = (choice: TitleChoice): Promise<{ items: TitleProposal[] }> =>
  answer('POST', '/api/titles/apply', choice);

// Highlights

export type HighlightDraft = Omit<Highlight, 'id' | 'video_id'>;

const highlightsPath = (videoId: string) => `/api/videos/${id(videoId)}/highlights`;

export const addHighlight = (videoId: string, draft: HighlightDraft): Promise<Highlight> =>
  answer('POST', highlightsPath(videoId), draft);

export const editHighlight = (highlightId: string, draft: HighlightDraft): Promise<Highlight> =>
  answer('PATCH', `/api/highlights/${id(highlightId)}`, draft);

export async function deleteHighlight(highlightId: string): Promise<void> {
  await send('DELETE', `/api/highlights/${id(highlightId)}`);
}

/** Replaces all highlights of a video, by a list or by the text of a CSV file. */
export const replaceHighlights = (
  videoId: string,
  items: readonly HighlightDraft[] | string,
): Promise<{ items: Highlight[] }> =>
  api.json(highlightsPath(videoId), {
    method: 'PUT',
    ...(typeof items === 'string'
      ? { raw: items, headers: { 'Content-Type': 'text/csv' } }
      : { body: { items } }),
  });

/** The address of all highlights of a video as a CSV file. */
export const highlightsCsvAddress = (videoId: string): string => `${highlightsPath(videoId)}?format=csv`;

// Series

export interface SeriesLabels {
  title: string;
  description: string;
}

export type ListedSeries = SeriesName & SeriesLabels & { episode_count: number; created_at: string };

export const listSeriesPage = (
  page: number,
  pageSize: number,
  options: Abortable = {},
): Promise<Page<ListedSeries>> =>
  api.json(addressOf('/api/series', { sort: 'title', page, page_size: pageSize }), options);

export const createSeries = (labels: SeriesLabels): Promise<ListedSeries> =>
  answer('POST', '/api/series', labels);

export const editSeries = (seriesId: string, labels: SeriesLabels): Promise<ListedSeries> =>
  answer('PATCH', `/api/series/${id(seriesId)}`, labels);

/** Its films stay. */
export async function deleteSeries(seriesId: string): Promise<void> {
  await send('DELETE', `/api/series/${id(seriesId)}`);
}

// Subtitles

const SUBTITLE_TYPES: Readonly<Record<string, string>> = {
  vtt: 'text/vtt',
  srt: 'application/x-subrip',
  ass: 'text/x-ssa',
  ssa: 'text/x-ssa',
};

/** Returns the media type of a file of subtitles by its name; undefined for a name that none has. */
export const subtitleTypeOf = (name: string): string | undefined =>
  SUBTITLE_TYPES[name.toLowerCase().split('.').at(-1) ?? ''];

export interface SubtitleUpload {
  language: string;
  file: File;
  forced: boolean;
  sdh: boolean;
}

const subtitlePath = (videoId: string, name: string) => `/api/videos/${id(videoId)}/subtitles/${id(name)}`;

/** Takes a file as a track, in place of the one before. The server finds out its encoding. */
export const putSubtitles = (videoId: string, upload: SubtitleUpload): Promise<SubtitleTrack> => {
  const { language, file, forced, sdh } = upload;
  const flags = { forced: forced ? 'true' : undefined, sdh: sdh ? 'true' : undefined };
  return api.json(addressOf(subtitlePath(videoId, language), flags), {
    method: 'PUT',
    raw: file,
    headers: { 'Content-Type': subtitleTypeOf(file.name) ?? 'text/vtt' },
  });
};

export async function deleteSubtitles(videoId: string, track: string): Promise<void> {
  await send('DELETE', subtitlePath(videoId, track));
}
