import { storage } from '../lib/storage';

const KEY = 'marquee.player';

export interface Preferences {
  /** 0 to 1. */
  volume: number;
  muted: boolean;
  speed: number;
}

/** What was kept, as far as it makes sense; who never chose anything gets the player as it is. */
export function parsePreferences(kept: string | null): Partial<Preferences> {
  let found: unknown;
  try {
    found = JSON.parse(kept ?? '{}');
  } catch {
    return {};
  }
  if (typeof found !== 'object' || found === null) return {};
  const { volume, muted, speed } = found as Record<string, unknown>;
  return {
    ...(typeof volume === 'number' && volume >= 0 && volume <= 1 ? { volume } : {}),
    ...(typeof muted === 'boolean' ? { muted } : {}),
    ...(typeof speed === 'number' && speed >= 0.25 && speed <= 4 ? { speed } : {}),
  };
}

/** Gives the player the volume and the speed that the viewer chose last in this browser, and keeps what is chosen. */
export function keepPreferences(video: HTMLVideoElement): () => void {
  const listening = new AbortController();
  const { volume, muted, speed } = parsePreferences(storage.get(KEY));
  if (volume !== undefined) video.volume = volume;
  if (muted !== undefined) video.muted = muted;
  // A new source sets the speed back to the default one.
  if (speed !== undefined) video.defaultPlaybackRate = video.playbackRate = speed;
  const keep = () => {
    video.defaultPlaybackRate = video.playbackRate;
    const chosen: Preferences = { volume: video.volume, muted: video.muted, speed: video.playbackRate };
    storage.set(KEY, JSON.stringify(chosen));
  };
  video.addEventListener('volumechange', keep, { signal: listening.signal });
  video.addEventListener('ratechange', keep, { signal: listening.signal });
  return () => listening.abort();
}
