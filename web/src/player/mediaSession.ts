import type { VideoDetail } from '../api/types';

const JUMP_SEC = 10;

/** Lets media keys, headsets and the lock screen show and control the film (Media Session). Returns how to end it. */
export function offerMediaSession(element: HTMLVideoElement, film: VideoDetail): () => void {
  const session = navigator.mediaSession;
  if (!session) return () => undefined;
  session.metadata = new MediaMetadata({
    title: film.title,
    artwork: (film.posters ?? []).map(({ url }) => ({ src: url })),
  });
  const seek = (to: number) => {
    if (Number.isFinite(element.duration)) element.currentTime = Math.min(element.duration, Math.max(0, to));
  };
  const actions: [MediaSessionAction, MediaSessionActionHandler][] = [
    ['play', () => void element.play().catch(() => undefined)],
    ['pause', () => element.pause()],
    ['seekbackward', ({ seekOffset }) => seek(element.currentTime - (seekOffset ?? JUMP_SEC))],
    ['seekforward', ({ seekOffset }) => seek(element.currentTime + (seekOffset ?? JUMP_SEC))],
    ['seekto', ({ seekTime }) => seek(seekTime ?? element.currentTime)],
  ];
  for (const [action, handler] of actions) session.setActionHandler(action, handler);
  return () => {
    session.metadata = null;
    for (const [action] of actions) session.setActionHandler(action, null);
  };
}
