import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

let isAwaited = false;

/** Records that another page was requested: it gets the focus once it is there, for screen readers and keyboards. */
export function awaitPage(): void {
  isAwaited = true;
}

/** Focuses an element of a page that was requested, unless the viewer is typing somewhere. */
export function arriveAt(element: HTMLElement | null | undefined): void {
  if (!isAwaited || !element) return;
  isAwaited = false;
  if (document.activeElement?.matches('input, textarea, select')) return;
  element.focus({ preventScroll: true });
}

/** For the first element of a page: its heading, or its player. */
export function useArrival(target: RefObject<HTMLElement | null>): void {
  useEffect(() => arriveAt(target.current), [target]);
}
