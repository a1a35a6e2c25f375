import type { AudioTrack, SubtitleTrack } from '../api/types';
import type { Language } from '../i18n';
import { v } from '../i18n/viewer';
import { languageName } from '../player/subtitles';

function nameOf(tag: string, language: Language): string {
  return tag === '' || tag === 'und' ? v('video.unknownLanguage') : languageName(tag, language);
}

/** "English: Commentary (stereo)": what is known of a sound track. */
export function audioText({ language: tag, title, channels }: AudioTrack, language: Language): string {
  const name = [nameOf(tag, language), title].filter(Boolean).join(': ');
  return channels > 0 ? `${name} (${channelsText(channels)})` : name;
}

function channelsText(channels: number): string {
  if (channels === 1) return v('video.mono');
  return channels === 2 ? v('video.stereo') : v('video.channels', { count: channels });
}

export function subtitleText(track: SubtitleTrack, language: Language): string {
  const name = [nameOf(track.language, language), track.title].filter(Boolean).join(': ');
  const marks = [track.forced && v('video.forced'), track.sdh && v('video.sdh')].filter(Boolean);
  return marks.length > 0 ? `${name} (${marks.join(', ')})` : name;
}
