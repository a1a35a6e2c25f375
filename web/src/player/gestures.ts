/** Seconds that a double tap seeks by, and each tap after it. */
const SEEK_SEC = 10;
const TAP_MS = 300;
const TAP_MOVES_PX = 12;
/** Between two taps that belong together. */
const NEXT_TAP_MS = 400;
const SWIPE_PX = 70;
const SWIPE_MS = 800;

export interface Touch {
  id: number;
  /** CSS pixels, from the left of the picture. */
  x: number;
  y: number;
  /** Milliseconds of any clock. */
  at: number;
}

export type Gesture =
  /** Seconds to seek by now, and with the taps before it. */
  { type: 'seek'; by: number; total: number } | { type: 'swipe-down' };

/** Recognises the gestures of one finger on the picture; what two do is the browser's. */
export class GestureRecognizer {
  private readonly fingers = new Set<number>();
  private pressed: Touch | null = null;
  private lastTap: { side: 1 | -1; at: number; count: number } | null = null;

  press(touch: Touch): void {
    this.fingers.add(touch.id);
    this.pressed = this.fingers.size === 1 ? touch : null;
  }

  /** Call when the browser has taken the touch, to scroll or to zoom. */
  cancel(id: number): void {
    this.fingers.delete(id);
    this.pressed = null;
    this.lastTap = null;
  }

  /** @param width of the picture, in CSS pixels. */
  release(touch: Touch, width: number): Gesture | null {
    this.fingers.delete(touch.id);
    const from = this.pressed;
    this.pressed = null;
    if (from?.id !== touch.id) return null;
    const right = touch.x - from.x;
    const down = touch.y - from.y;
    const tookMs = touch.at - from.at;
    if (Math.hypot(right, down) <= TAP_MOVES_PX && tookMs <= TAP_MS) return this.tap(touch, width);
    this.lastTap = null;
    const isSwipe = down >= SWIPE_PX && down > 2 * Math.abs(right) && tookMs <= SWIPE_MS;
    return isSwipe ? { type: 'swipe-down' } : null;
  }

  private tap({ x, at }: Touch, width: number): Gesture | null {
    const side = x < width / 2 ? -1 : 1;
    const last = this.lastTap;
    const belongs = last !== null && last.side === side && at - last.at <= NEXT_TAP_MS;
    const count = belongs ? last.count + 1 : 1;
    this.lastTap = { side, at, count };
    if (count === 1) return null;
    return { type: 'seek', by: side * SEEK_SEC, total: side * SEEK_SEC * (count - 1) };
  }
}

/**
 * Listens to touches on the picture, not on the controls above it. A single tap is left to media-chrome, which shows and
 * hides the controls. Returns how to end it.
 */
export function listenToTouches(
  controller: HTMLElement,
  video: HTMLVideoElement,
  onGesture: (gesture: Gesture) => void,
): () => void {
  const listening = new AbortController();
  const options = { signal: listening.signal, capture: true };
  const recognizer = new GestureRecognizer();
  let isTouch = false;
  const isOnPicture = ({ target }: Event) => target === controller || target === video;
  const touchOf = (event: PointerEvent): Touch => ({
    id: event.pointerId,
    x: event.clientX - controller.getBoundingClientRect().left,
    y: event.clientY,
    at: event.timeStamp,
  });
  controller.addEventListener(
    'pointerdown',
    (event) => {
      isTouch = event.pointerType === 'touch';
      if (isTouch && isOnPicture(event)) recognizer.press(touchOf(event));
    },
    options,
  );
  controller.addEventListener(
    'pointerup',
    (event) => {
      if (event.pointerType !== 'touch') return;
      const gesture = recognizer.release(touchOf(event), controller.clientWidth);
      if (!gesture) return;
      // The controls stay as the first tap left them.
      event.stopImmediatePropagation();
      onGesture(gesture);
    },
    options,
  );
  controller.addEventListener('pointercancel', (event) => recognizer.cancel(event.pointerId), options);
  // A double click of a mouse asks for full screen.
  controller.addEventListener('dblclick', (event) => isTouch && event.stopImmediatePropagation(), options);
  return () => listening.abort();
}
