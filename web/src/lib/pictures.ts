import { thumbHashToDataURL } from 'thumbhash';
import type { Poster, VideoSummary } from '../api/types';

/** The value of `srcset` for posters; undefined without any. */
export function sourceSet(posters: readonly Poster[] | undefined): string | undefined {
  return posters?.length ? posters.map(({ url, width }) => `${url} ${width}w`).join(', ') : undefined;
}

/** A blurred picture as a data URL; undefined where the placeholder can't be read. */
export function placeholderOf(thumbhash: string | null | undefined): string | undefined {
  if (!thumbhash) return undefined;
  try {
    return thumbHashToDataURL(Uint8Array.from(atob(thumbhash), (letter) => letter.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

const PICTURE_WITHIN_MS = 10 * 60 * 1000;

/** Whether the thumbnail of a film that can be watched is probably still being made. */
export function awaitsPicture(
  { status, thumbnail_url, created_at }: Pick<VideoSummary, 'status' | 'thumbnail_url' | 'created_at'>,
  now = Date.now(),
): boolean {
  return status === 'ready' && !thumbnail_url && now - Date.parse(created_at) < PICTURE_WITHIN_MS;
}
