export type PlayerCommand =
  | { type: 'toggle-play' | 'toggle-fullscreen' | 'toggle-mute' | 'toggle-pip' }
  | { type: 'toggle-captions' | 'toggle-theatre' | 'show-keys' }
  /** Seconds. */
  | { type: 'seek'; by: number }
  /** A part of the film: 0 is its start, 1 its end. */
  | { type: 'go-to'; part: number }
  /** Frames, of a film that is paused. */
  | { type: 'step'; by: 1 | -1 }
  | { type: 'volume'; by: number }
  | { type: 'speed'; by: 1 | -1 };

interface KeyPress {
  key: string;
  /** The key's position on the keyboard: with a Korean input method, `key` is a Hangul letter or unusable. */
  code?: string;
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
}

export function commandFor(press: KeyPress): PlayerCommand | null {
  if (press.altKey || press.ctrlKey || press.metaKey) return null;
  const key = latinKey(press);
  if (/^[0-9]$/.test(key)) return { type: 'go-to', part: Number(key) / 10 };
  switch (key) {
    case ' ':
    case 'k':
      return { type: 'toggle-play' };
    case 'f':
      return { type: 'toggle-fullscreen' };
    case 'm':
      return { type: 'toggle-mute' };
    case 'p':
    case 'i':
      return { type: 'toggle-pip' };
    case 'c':
      return { type: 'toggle-captions' };
    case 't':
      return { type: 'toggle-theatre' };
    case '?':
      return { type: 'show-keys' };
    case ',':
      return { type: 'step', by: -1 };
    case '.':
      return { type: 'step', by: 1 };
    case '<':
      return { type: 'speed', by: -1 };
    case '>':
      return { type: 'speed', by: 1 };
    case 'j':
    case 'ArrowLeft':
      return { type: 'seek', by: -10 };
    case 'l':
    case 'ArrowRight':
      return { type: 'seek', by: 10 };
    case 'ArrowUp':
      return { type: 'volume', by: 0.05 };
    case 'ArrowDown':
      return { type: 'volume', by: -0.05 };
    case 'Home':
      return { type: 'go-to', part: 0 };
    case 'End':
      return { type: 'go-to', part: 1 };
    default:
      return null;
  }
}

/** What the list of keys shows: the keys, and the message that says what they do. */
export const KEYS = [
  [['Space', 'K'], 'keys.play'],
  [['J', '←'], 'keys.back'],
  [['L', '→'], 'keys.forward'],
  [['↑', '↓'], 'keys.volume'],
  [['M'], 'keys.mute'],
  [['C'], 'keys.captions'],
  [['F'], 'keys.fullscreen'],
  [['T'], 'keys.theatre'],
  [['I', 'P'], 'keys.pip'],
  [['<', '>'], 'keys.speed'],
  [[',', '.'], 'keys.step'],
  [['0', '…', '9'], 'keys.part'],
  [['Home', 'End'], 'keys.ends'],
  [['?'], 'keys.show'],
] as const;

function latinKey({ key, code }: KeyPress): string {
  if (key.length === 1 && key <= '~') return key.toLowerCase();
  return /^Key[A-Z]$/.test(code ?? '') ? (code ?? '').slice(3).toLowerCase() : key;
}

export const SPEEDS: readonly number[] = [0.5, 0.75, 1, 1.25, 1.5, 2];

/** Returns the next speed in a direction; the fastest and the slowest stay. */
export function nextSpeed(speed: number, by: 1 | -1): number {
  const next = by > 0 ? SPEEDS.find((each) => each > speed) : SPEEDS.findLast((each) => each < speed);
  return next ?? speed;
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
