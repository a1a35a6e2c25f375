/** A line of subtitles. */
export interface SubtitleLine {
  /** Seconds. */
  start: number;
  text: string;
}

const fold = (text: string): string => text.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim();

/** Returns the lines that have a text in them, whatever its case and spaces; all for no text. */
export function findLines(lines: readonly SubtitleLine[], text: string): SubtitleLine[] {
  const wanted = fold(text);
  return lines.filter((line) => fold(line.text).includes(wanted));
}

/** Returns the <track>s of a player that are subtitles. */
export function subtitleTracks(video: HTMLVideoElement): HTMLTrackElement[] {
  return [...video.querySelectorAll('track')].filter(({ kind }) => /^(subtitles|captions)$/.test(kind));
}

// HTMLTrackElement.LOADED and ERROR.
const LOADED = 2;
const ERROR = 3;

/** Reads the lines of subtitles, and loads those that are not shown; throws when they can't be loaded. */
export async function readLines(element: HTMLTrackElement): Promise<SubtitleLine[]> {
  const { track } = element;
  // A browser loads no track that is disabled.
  if (track.mode === 'disabled') track.mode = 'hidden';
  if (element.readyState < LOADED) {
    await new Promise<void>((resolve) => {
      element.addEventListener('load', () => resolve(), { once: true });
      element.addEventListener('error', () => resolve(), { once: true });
    });
  }
  if (element.readyState === ERROR) throw new Error('the subtitles could not be loaded');
  return [...((track.cues ?? []) as Iterable<VTTCue>)].map((cue) => ({
    start: cue.startTime,
    text: (cue.getCueAsHTML().textContent ?? '').trim(),
  }));
}
