import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

let isAwaited = false;

/** Another page was asked for: the focus goes to it as soon as it is there, for screen readers and keyboards. */
export function awaitPage(): void {
  isAwaited = true;
}

/** Takes the focus for a page that was asked for, unless the viewer is writing somewhere. */
export function arriveAt(element: HTMLElement | null | undefined): void {
  if (!isAwaited || !element) return;
  isAwaited = false;
  if (document.activeElement?.matches('input, textarea, select')) return;
  element.focus({ preventScroll: true });
}

/** For what a page begins with: its heading, or its player. */
export function useArrival(target: RefObject<HTMLElement | null>): void {
  useEffect(() => arriveAt(target.current), [target]);
}
