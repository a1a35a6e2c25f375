import type { SubtitleTrack, VideoDetail } from '../../api/types';
import type { Database } from './database';
import { filmKey, type StoredFilm } from './licences';

interface Body {
  type: string;
  bytes: ArrayBuffer;
}

/** What belongs to a film besides its pack, by the URLs of the server. */
interface Extras {
  bodies: Record<string, Body>;
}

/** Fetches poster, subtitles and storyboard of a film, and keeps them. What can't be got is left out. */
export async function storeExtras(
  database: Database,
  film: Pick<StoredFilm, 'userId' | 'video' | 'subtitles'>,
  send: typeof fetch = (input, init) => fetch(input, init),
): Promise<void> {
  const { userId, video, subtitles } = film;
  const bodies: Record<string, Body> = {};
  const get = async (url: string) => {
    try {
      const response = await send(url, { credentials: 'same-origin' });
      if (!response.ok) return;
      const type = response.headers.get('Content-Type') ?? '';
      bodies[url] = { type, bytes: await response.arrayBuffer() };
    } catch {
      // A film plays without it, too.
    }
  };
  for (const url of [posterOf(video), video.storyboard_url, ...subtitles.map((track) => track.url)]) {
    if (url) await get(url);
  }
  const storyboard = video.storyboard_url ? bodies[video.storyboard_url] : undefined;
  if (storyboard && video.storyboard_url) {
    for (const url of picturesOf(textOf(storyboard), video.storyboard_url)) await get(url);
  }
  await database.put('extras', filmKey(userId, video.id), { bodies } satisfies Extras);
}

/** Returns a stored film as the page shows it, with URLs of this browser; call `revoke` when it leaves the page. */
export async function loadExtras(
  database: Database,
  { userId, video, subtitles }: StoredFilm,
): Promise<{ video: VideoDetail; subtitles: SubtitleTrack[]; revoke: () => void }> {
  const { bodies } = (await database.get<Extras>('extras', filmKey(userId, video.id))) ?? { bodies: {} };
  const made = new Map<string, string>();
  const local = (url: string | null | undefined, change: (text: string) => string = (text) => text) => {
    const body = url ? bodies[url] : undefined;
    if (!url || !body) return null;
    let result = made.get(url);
    if (result === undefined) {
      const content = /^text\//.test(body.type) ? change(textOf(body)) : body.bytes;
      result = URL.createObjectURL(new Blob([content], { type: body.type }));
      made.set(url, result);
    }
    return result;
  };
  const { storyboard_url: storyboard = null } = video;
  const shown: VideoDetail = {
    ...video,
    thumbnail_url: local(posterOf(video)),
    posters: [],
    storyboard_url: local(storyboard, (text) => withPictures(text, storyboard ?? '', (url) => local(url))),
  };
  const tracks = subtitles.flatMap((track) => {
    const url = local(track.url);
    return url ? [{ ...track, url }] : [];
  });
  const revoke = () => {
    for (const url of made.values()) URL.revokeObjectURL(url);
  };
  return { video: shown, subtitles: tracks, revoke };
}

function posterOf({ posters, thumbnail_url }: VideoDetail): string | null {
  return posters?.at(-1)?.url ?? thumbnail_url;
}

const PICTURE_LINE = /^(\S+)#xywh=/;

/** Returns the URLs of the pictures of a storyboard (WebVTT), each once. */
export function picturesOf(text: string, base: string): string[] {
  const found = text.split(/\r?\n/).flatMap((line) => {
    const picture = PICTURE_LINE.exec(line)?.[1];
    return picture ? [resolve(picture, base)] : [];
  });
  return [...new Set(found)];
}

/** Returns a storyboard whose pictures are elsewhere. */
export function withPictures(text: string, base: string, urlOf: (url: string) => string | null): string {
  return text
    .split(/\r?\n/)
    .map((line) => {
      const picture = PICTURE_LINE.exec(line)?.[1];
      const url = picture ? urlOf(resolve(picture, base)) : null;
      return picture && url ? url + line.slice(picture.length) : line;
    })
    .join('\n');
}

/** Returns a URL of this origin, as the API writes them: from the root on. */
function resolve(url: string, base: string): string {
  const { pathname, search } = new URL(url, new URL(base, 'http://origin.invalid'));
  return pathname + search;
}

function textOf({ bytes }: Body): string {
  return new TextDecoder().decode(bytes);
}
