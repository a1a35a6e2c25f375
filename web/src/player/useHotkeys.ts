import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';
import { commandFor, isClaimed, nextSpeed, type PlayerCommand } from './hotkeys';
import { seekBy } from './jump';
import { theatre } from './theatre';

/** About a frame, in seconds: a browser does not say how long those of a film are. */
const FRAME_SEC = 1 / 30;

/**
 * The keys work wherever the focus is on the page, not only inside the player.
 *
 * @param showKeys opens or closes the list of keys.
 */
export function useHotkeys(
  controller: RefObject<HTMLElement | null>,
  video: RefObject<HTMLVideoElement | null>,
  enabled: boolean,
  showKeys: () => void,
): void {
  useEffect(() => {
    if (!enabled) return;
    const onKeyDown = (event: KeyboardEvent) => {
      const command = commandFor(event);
      if (!command || !controller.current || !video.current || isClaimed(event)) return;
      event.preventDefault();
      if (event.repeat && /^(toggle|show)/.test(command.type)) return;
      if (command.type === 'show-keys') showKeys();
      else perform(command, controller.current, video.current);
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [controller, video, enabled, showKeys]);
}

function perform(
  command: Exclude<PlayerCommand, { type: 'show-keys' }>,
  controller: HTMLElement,
  video: HTMLVideoElement,
): void {
  switch (command.type) {
    case 'toggle-play':
      if (video.paused) video.play().catch(() => undefined);
      else video.pause();
      break;
    case 'toggle-mute':
      video.muted = !video.muted;
      break;
    case 'toggle-fullscreen':
      toggleFullscreen(controller);
      break;
    case 'toggle-pip':
      if (video.disablePictureInPicture) break;
      ask(controller, document.pictureInPictureElement ? 'mediaexitpiprequest' : 'mediaenterpiprequest');
      break;
    case 'toggle-captions':
      ask(controller, 'mediatogglesubtitlesrequest');
      break;
    case 'toggle-theatre':
      theatre.value = !theatre.value;
      break;
    case 'speed':
      video.playbackRate = nextSpeed(video.playbackRate, command.by);
      break;
    case 'seek':
      seekBy(video, command.by);
      break;
    case 'go-to':
      if (Number.isFinite(video.duration)) video.currentTime = video.duration * command.part;
      break;
    case 'step':
      if (video.paused) seekBy(video, command.by * FRAME_SEC);
      break;
    case 'volume':
      video.muted = false;
      video.volume = clamp(video.volume + command.by, 0, 1);
      break;
  }
}

/** Asks the controller, which knows each browser's full-screen API. */
export function toggleFullscreen(controller: HTMLElement): void {
  ask(controller, document.fullscreenElement ? 'mediaexitfullscreenrequest' : 'mediaenterfullscreenrequest');
}

function ask(controller: HTMLElement, request: string): void {
  controller.dispatchEvent(new CustomEvent(request, { bubbles: true, composed: true }));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
