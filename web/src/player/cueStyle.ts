import { effect, signal } from '@preact/signals';
import { storage } from '../lib/storage';

const KEY = 'marquee.subtitles';

/** What a viewer may choose for subtitles; the first of each is usual. `styles/playing.css` says what they look like. */
export const CUE_CHOICES = {
  size: ['normal', 'small', 'large', 'huge'],
  color: ['white', 'yellow', 'cyan'],
  background: ['shade', 'solid', 'none'],
  position: ['bottom', 'top'],
} as const;

export type CueProperty = keyof typeof CUE_CHOICES;
export type CueStyle = { [Property in CueProperty]: (typeof CUE_CHOICES)[Property][number] };

export const CUE_PROPERTIES = Object.keys(CUE_CHOICES) as CueProperty[];

/** Returns the stored choices; what is not among them is as usual. */
export function parseCueStyle(kept: string | null): CueStyle {
  let found: unknown;
  try {
    found = JSON.parse(kept ?? '{}');
  } catch {
    found = null;
  }
  const chosen = (typeof found === 'object' && found !== null ? found : {}) as Record<string, unknown>;
  const entries = CUE_PROPERTIES.map((property) => {
    const choices: readonly string[] = CUE_CHOICES[property];
    const choice = choices.find((each) => each === chosen[property]);
    return [property, choice ?? choices[0]];
  });
  return Object.fromEntries(entries) as CueStyle;
}

/** How subtitles look in this browser. */
export const cueStyle = signal(parseCueStyle(storage.get(KEY)));

effect(() => storage.set(KEY, JSON.stringify(cueStyle.value)));

/** Returns the attributes by which the style sheet knows the choices. */
export function cueAttributes({ size, color, background, position }: CueStyle): Record<string, string> {
  return {
    'data-cue-size': size,
    'data-cue-color': color,
    'data-cue-background': background,
    'data-cue-position': position,
  };
}

type Place = Pick<VTTCue, 'line' | 'snapToLines'>;

/** Where the file of the subtitles wants them. */
const ownPlaces = new WeakMap<TextTrackCue, Place>();

/** Puts the lines of the subtitles to the top of the picture, or back to where their file wants them. */
export function placeCues(tracks: Iterable<TextTrack>, position: CueStyle['position']): void {
  for (const track of tracks) {
    if (track.kind !== 'subtitles' && track.kind !== 'captions') continue;
    for (const cue of (track.cues ?? []) as Iterable<VTTCue>) {
      const own = ownPlaces.get(cue) ?? { line: cue.line, snapToLines: cue.snapToLines };
      ownPlaces.set(cue, own);
      const { line, snapToLines } = position === 'top' ? { line: 0, snapToLines: true } : own;
      cue.snapToLines = snapToLines;
      cue.line = line;
    }
  }
}

/** Shows subtitles as the viewer has chosen, now and whenever that changes. Returns how to end it. */
export function keepCueStyle(video: HTMLVideoElement): () => void {
  const place = () => placeCues(video.textTracks, cueStyle.peek().position);
  const stop = effect(() => {
    const attributes = cueAttributes(cueStyle.value);
    for (const [name, value] of Object.entries(attributes)) video.setAttribute(name, value);
    place();
  });
  // From each <track>, once its lines are there.
  video.addEventListener('load', place, { capture: true });
  return () => {
    stop();
    video.removeEventListener('load', place, { capture: true });
  };
}
