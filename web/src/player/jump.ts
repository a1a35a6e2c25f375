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

/** Returns the position of the film on the page, in seconds; null when there is none. */
export function shownPosition(): number | null {
  return shown && shown.readyState >= HTMLMediaElement.HAVE_METADATA ? shown.currentTime : null;
}

/** Pauses at a position, once; the viewer may play on. Returns a function that calls it off. */
export function pauseAt(element: HTMLVideoElement, seconds: number): () => void {
  const stop = () => element.removeEventListener('timeupdate', check);
  const check = () => {
    if (element.currentTime < seconds) return;
    stop();
    // A viewer who has jumped far beyond it wants to see something else.
    if (element.currentTime < seconds + 2) element.pause();
  };
  element.addEventListener('timeupdate', check);
  return stop;
}
