let shown: HTMLVideoElement | null = null;

/** Makes an element the one that `playFrom` acts on, until the returned function is called. */
export function offerJumps(element: HTMLVideoElement): () => void {
  shown = element;
  return () => {
    if (shown === element) shown = null;
  };
}

/** Plays the film on the page from a position, in seconds; returns false when there is none that can. */
export function playFrom(seconds: number): boolean {
  if (!shown || shown.readyState < HTMLMediaElement.HAVE_METADATA) return false;
  shown.currentTime = seconds;
  shown.play().catch(() => undefined);
  shown.scrollIntoView({ block: 'nearest' });
  return true;
}

/** Seeks by seconds, within the film; returns false while its length is not known. */
export function seekBy(video: HTMLVideoElement, seconds: number): boolean {
  if (!Number.isFinite(video.duration)) return false;
  video.currentTime = Math.min(video.duration, Math.max(0, video.currentTime + seconds));
  return true;
}

/** Returns the position of the film on the page, in seconds; null when there is none. */
export function shownPosition(): number | null {
  return shown && shown.readyState >= HTMLMediaElement.HAVE_METADATA ? shown.currentTime : null;
}

/** Pauses at a position, once; the viewer may play on. Returns a function that calls it off. */
export function pauseAt(element: HTMLVideoElement, seconds: number): () => void {
  const stop = () => {
    element.removeEventListener('timeupdate', check);
    element.removeEventListener('ended', check);
  };
  const check = () => {
    if (element.currentTime < seconds && !element.ended) return;
    stop();
    // A viewer who has jumped far beyond it wants to see something else.
    if (element.currentTime < seconds + 2 && !goesOn?.()) element.pause();
  };
  element.addEventListener('timeupdate', check);
  // A part may end a moment after the film does.
  element.addEventListener('ended', check);
  return stop;
}

let goesOn: (() => boolean) | null = null;

/** Asks `next` at the end of a part of a film; what returns true has gone on to another. Returns how to end it. */
export function atEndOfPart(next: () => boolean): () => void {
  goesOn = next;
  return () => {
    if (goesOn === next) goesOn = null;
  };
}
