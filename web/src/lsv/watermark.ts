import type { Watermark } from '../api/types';

const MARGIN = 0.06;
const REDRAW_MS = 500;
const FAMILY = 'system-ui, sans-serif';

/** Strong, for a session whose answer had none: a player without watermark is what must not be. */
export function strongWatermark(text: string): Watermark {
  return { text, opacity: 0.35, size: 0.045, interval_sec: 20, visible_sec: 12 };
}

/** Returns which appearance it is after some seconds, counted from 0, or null between two of them. */
export function appearanceAt(elapsedSec: number, { interval_sec, visible_sec }: Watermark): number | null {
  const interval = Math.max(interval_sec, 1);
  const index = Math.floor(elapsedSec / interval);
  return elapsedSec - index * interval < visible_sec ? index : null;
}

/** Returns where an appearance is, as shares of the free width and height; `seed` from 0 to 1. */
export function placeOf(appearance: number, seed: number): { x: number; y: number } {
  // Multiples of the golden ratio and of the root of 2 never repeat, and spread evenly.
  const x = (seed + (appearance + 1) * 0.618_034) % 1;
  const y = (seed + (appearance + 1) * 0.414_214) % 1;
  return { x: MARGIN + x * (1 - 2 * MARGIN), y: MARGIN + y * (1 - 2 * MARGIN) };
}

/** Returns the text with the time, to the minute, in the viewer's own time zone. */
export function watermarkText(text: string, now: Date): string {
  const two = (number: number) => String(number).padStart(2, '0');
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-');
  return `${text} · ${day} ${two(now.getHours())}:${two(now.getMinutes())}`;
}

export interface ShownStyle {
  display: string;
  visibility: string;
  opacity: string;
  clipPath: string;
  transform: string;
  filter: string;
}

interface Size {
  width: number;
  height: number;
}

/** Whether a canvas of this style and size shows what is drawn on it over the whole picture. */
export function coversPicture(style: ShownStyle, canvas: Size, picture: Size): boolean {
  if (style.display === 'none' || style.visibility !== 'visible' || Number(style.opacity) < 1) return false;
  if ([style.clipPath, style.transform, style.filter].some((value) => value !== 'none' && value !== '')) {
    return false;
  }
  return canvas.width >= 0.98 * picture.width && canvas.height >= 0.98 * picture.height;
}

/** Returns where a picture is that is shown as large as possible with its own proportions; as CSS `contain` does. */
export function contain(picture: Size, within: Size): Size & { x: number; y: number } {
  const hasSize = picture.width > 0 && picture.height > 0;
  const scale = hasSize ? Math.min(within.width / picture.width, within.height / picture.height) : 0;
  const width = hasSize ? picture.width * scale : within.width;
  const height = hasSize ? picture.height * scale : within.height;
  return { x: (within.width - width) / 2, y: (within.height - height) / 2, width, height };
}

/**
 * Draws a watermark until the returned function is called.
 *
 * @param onRemoved called once, when the canvas was removed, hidden or made smaller by something else
 */
export function showWatermark(
  canvas: HTMLCanvasElement,
  host: HTMLElement,
  mark: () => Watermark | null,
  onRemoved: () => void,
): () => void {
  const began = performance.now();
  const seed = Math.random();
  const isHidden = () =>
    canvas.parentElement !== host ||
    !host.isConnected ||
    !coversPicture(getComputedStyle(canvas), canvas.getBoundingClientRect(), host.getBoundingClientRect());
  const check = () => {
    // Without a layout, as in a page that is being left, nothing can be seen, the film neither.
    if (host.getClientRects().length === 0 || !isHidden()) return;
    stop();
    onRemoved();
  };
  const tick = () => {
    check();
    const shown = mark();
    const elapsed = (performance.now() - began) / 1000;
    const appearance = shown && appearanceAt(elapsed, shown);
    draw(canvas, host.querySelector('video'), shown, appearance === null ? null : placeOf(appearance, seed));
  };
  const observer = new MutationObserver(check);
  observer.observe(host, { childList: true });
  observer.observe(canvas, { attributes: true, attributeFilter: ['style', 'class', 'hidden', 'slot'] });
  const timer = setInterval(tick, REDRAW_MS);
  const stop = () => {
    observer.disconnect();
    clearInterval(timer);
  };
  tick();
  return stop;
}

function draw(
  canvas: HTMLCanvasElement,
  video: HTMLVideoElement | null,
  mark: Watermark | null,
  place: { x: number; y: number } | null,
): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  // Also clears it.
  canvas.width = width;
  canvas.height = height;
  canvas.dataset.shown = place ? 'true' : 'false';
  if (!mark || !place) return;
  const text = watermarkText(mark.text, new Date());
  const picture = contain(
    { width: video?.videoWidth ?? 0, height: video?.videoHeight ?? 0 },
    { width, height },
  );
  const fontPx = Math.max(Math.round(mark.size * picture.height), Math.round(10 * devicePixelRatio));
  context.font = `600 ${fontPx}px ${FAMILY}`;
  context.textBaseline = 'top';
  context.globalAlpha = mark.opacity;
  context.lineWidth = fontPx / 12;
  context.strokeStyle = '#000';
  context.fillStyle = '#fff';
  const x = picture.x + place.x * Math.max(0, picture.width - context.measureText(text).width);
  const y = picture.y + place.y * Math.max(0, picture.height - fontPx);
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}
