/** What a browser, or the way to it, must have. */
export type Missing = 'secure-context' | 'web-crypto' | 'media-source' | 'worker';

type MediaSourceClass = typeof MediaSource;

interface Environment {
  isSecureContext?: boolean;
  crypto?: { subtle?: unknown };
  MediaSource?: MediaSourceClass;
  ManagedMediaSource?: MediaSourceClass;
  Worker?: unknown;
}

/** Returns the class of media sources: on iPhones there is only the managed one. */
export function mediaSourceClass(at: Environment = globalThis as Environment): MediaSourceClass | null {
  return at.MediaSource ?? at.ManagedMediaSource ?? null;
}

/** Returns what this browser lacks for protected playback, or null. */
export function findMissing(at: Environment = globalThis as Environment): Missing | null {
  if (at.isSecureContext === false) return 'secure-context';
  if (!at.crypto?.subtle) return 'web-crypto';
  if (!mediaSourceClass(at)) return 'media-source';
  if (!at.Worker) return 'worker';
  return null;
}

export function canPlayType(mimeType: string, at: Environment = globalThis as Environment): boolean {
  return mediaSourceClass(at)?.isTypeSupported(mimeType) ?? false;
}
