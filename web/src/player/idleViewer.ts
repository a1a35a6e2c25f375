/** Films that play one after another to an empty room take a place that others wait for. */
const ASK_AFTER_MS = 3 * 60 * 60 * 1000;

/**
 * Pauses, and calls `ask`, when a film has played for three hours without a sign of a viewer. Returns how to end it.
 *
 * @param ask shows the question.
 * @param now milliseconds of any clock.
 */
export function watchForIdleViewer(
  element: HTMLVideoElement,
  ask: () => void,
  now = () => performance.now(),
): () => void {
  const listening = new AbortController();
  const { signal } = listening;
  const seen = () => {
    lastSign = now();
  };
  for (const type of ['pointerdown', 'pointermove', 'keydown', 'touchstart'] as const) {
    document.addEventListener(type, seen, { signal, passive: true, capture: true });
  }
  element.addEventListener('pause', seen, { signal });
  element.addEventListener(
    'timeupdate',
    () => {
      if (element.paused || now() - lastSign < ASK_AFTER_MS) return;
      element.pause();
      ask();
    },
    { signal },
  );
  return () => listening.abort();
}

/** When a viewer gave the last sign; kept from film to film. */
let lastSign = performance.now();
