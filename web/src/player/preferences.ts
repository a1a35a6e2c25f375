import { storage } from '../lib/storage';

const KEY = 'marquee.player';

export interface Preferences {
  /** 0 to 1. */
  volume: number;
  muted: boolean;
  speed: number;
}

/** Returns the stored preferences as far as they are valid; otherwise the player's defaults. */
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

/** Applies the volume and the speed last chosen in this browser to the player, and stores changes. */
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
