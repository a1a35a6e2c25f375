export type PlayerCommand =
  | { type: 'toggle-play' | 'toggle-fullscreen' | 'toggle-mute' }
  | { type: 'seek'; by: number }
  | { type: 'volume'; by: number };

interface KeyPress {
  key: string;
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
}

export function commandFor(press: KeyPress): PlayerCommand | null {
  if (press.altKey || press.ctrlKey || press.metaKey) return null;
  switch (press.key) {
    case ' ':
    case 'k':
    case 'K':
      return { type: 'toggle-play' };
    case 'f':
    case 'F':
      return { type: 'toggle-fullscreen' };
    case 'm':
    case 'M':
      return { type: 'toggle-mute' };
    case 'ArrowLeft':
      return { type: 'seek', by: -10 };
    case 'ArrowRight':
      return { type: 'seek', by: 10 };
    case 'ArrowUp':
      return { type: 'volume', by: 0.05 };
    case 'ArrowDown':
      return { type: 'volume', by: -0.05 };
    default:
      return null;
  }
}

const SLIDER_KEYS = /^(Arrow|Page|Home|End)/;

/** True when the focused element needs this key itself: text fields, buttons, links, and the player's sliders. */
export function isClaimed(event: KeyboardEvent): boolean {
  return event.composedPath().some((node) => node instanceof HTMLElement && claims(node, event.key));
}

function claims(element: HTMLElement, key: string): boolean {
  if (element.isContentEditable) return true;
  switch (element.tagName) {
    case 'INPUT':
      return (element as HTMLInputElement).type !== 'range' || SLIDER_KEYS.test(key);
    case 'TEXTAREA':
    case 'SELECT':
      return true;
    case 'A':
    case 'BUTTON':
    case 'SUMMARY':
      return key === ' ' || key === 'Enter';
    case 'MEDIA-CONTROLLER':
      return false;
    default: {
      const { keysUsed } = element as { keysUsed?: string[] };
      return keysUsed?.includes(key) ?? false;
    }
  }
}
