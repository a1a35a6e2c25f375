import type { SubtitleTrack } from '../api/types';

/** Returns what a menu shows for subtitles: their own title, or the language's name in the viewer's language. */
export function subtitlesLabel(
  track: Pick<SubtitleTrack, 'language' | 'title' | 'forced' | 'sdh'>,
  locale: string,
): string {
  const name = track.title || languageName(track.language, locale);
  const marks = [track.forced ? 'forced' : '', track.sdh ? 'SDH' : ''].filter(Boolean);
  return marks.length > 0 ? `${name} (${marks.join(', ')})` : name;
}

/** Names a language (BCP 47) in the language of the viewer. */
export function languageName(tag: string, locale: string): string {
  try {
    return new Intl.DisplayNames([locale], { type: 'language' }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}
