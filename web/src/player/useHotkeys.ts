import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';
import { commandFor, isClaimed, nextSpeed, type PlayerCommand } from './hotkeys';

/** The keys work wherever the focus is on the page, not only inside the player. */
export function useHotkeys(
  controller: RefObject<HTMLElement | null>,
  video: RefObject<HTMLVideoElement | null>,
  enabled: boolean,
): void {
  useEffect(() => {
    if (!enabled) return;
    const onKeyDown = (event: KeyboardEvent) => {
      const command = commandFor(event);
      if (!command || !controller.current || !video.current || isClaimed(event)) return;
      event.preventDefault();
      if (event.repeat && command.type.startsWith('toggle')) return;
      perform(command, controller.current, video.current);
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [controller, video, enabled]);
}

function perform(command: PlayerCommand, controller: HTMLElement, video: HTMLVideoElement): void {
  switch (command.type) {
    case 'toggle-play':
      if (video.paused) video.play().catch(() => undefined);
      else video.pause();
      break;
    case 'toggle-mute':
      video.muted = !video.muted;
      break;
    case 'toggle-fullscreen': {
      // The controller knows each browser's full-screen API.
      const request = document.fullscreenElement
        ? 'mediaexitfullscreenrequest'
        : 'mediaenterfullscreenrequest';
      controller.dispatchEvent(new CustomEvent(request, { bubbles: true, composed: true }));
      break;
    }
    case 'toggle-pip': {
      const request = document.pictureInPictureElement ? 'mediaexitpiprequest' : 'mediaenterpiprequest';
      controller.dispatchEvent(new CustomEvent(request, { bubbles: true, composed: true }));
      break;
    }
    case 'speed':
      video.playbackRate = nextSpeed(video.playbackRate, command.by);
      break;
    case 'seek':
      if (Number.isFinite(video.duration)) {
        video.currentTime = clamp(video.currentTime + command.by, 0, video.duration);
      }
      break;
    case 'volume':
      video.muted = false;
      video.volume = clamp(video.volume + command.by, 0, 1);
      break;
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
