import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Selects the focusable element that the stage shows now. */
export const SHOWN = '.session-panel, media-controller:not([inert])';

/**
 * When the stage changes, the focused element in it may vanish or become inert. The focus then goes to its replacement,
 * and not to the top of the page; a focus elsewhere is left alone.
 */
export function useKeptFocus(stage: RefObject<HTMLElement | null>, shows: string): void {
  const isWithin = useRef(false);

  useEffect(() => {
    const onFocus = (event: Event) => {
      isWithin.current = stage.current?.contains(event.target as Node) ?? false;
    };
    document.addEventListener('focusin', onFocus);
    document.addEventListener('pointerdown', onFocus);
    return () => {
      document.removeEventListener('focusin', onFocus);
      document.removeEventListener('pointerdown', onFocus);
    };
  }, [stage]);

  useEffect(() => {
    const shown = stage.current?.querySelector<HTMLElement>(SHOWN);
    if (isWithin.current && shown && !shown.contains(document.activeElement)) shown.focus();
  }, [stage, shows]);
}
