import type { HTMLAttributes } from 'preact';

type Control = HTMLAttributes<HTMLElement> & { slot?: string };

declare module 'preact' {
  namespace JSX {
    interface IntrinsicElements {
      'media-controller': Control & {
        nohotkeys?: boolean;
        novolumepref?: boolean;
        nomutedpref?: boolean;
        breakpoints?: string;
        autohide?: string;
      };
      'media-captions-menu': Control & { hidden?: boolean; anchor?: string };
      'media-captions-menu-button': Control;
      'media-control-bar': Control;
      'media-fullscreen-button': Control;
      'media-loading-indicator': Control & { noautohide?: boolean };
      'media-mute-button': Control;
      'media-pip-button': Control;
      'media-play-button': Control;
      'media-playback-rate-button': Control & { rates?: string };
      'media-preview-chapter-display': Control;
      'media-preview-thumbnail': Control;
      'media-preview-time-display': Control;
      'media-seek-backward-button': Control & { seekoffset?: string };
      'media-seek-forward-button': Control & { seekoffset?: string };
      'media-time-display': Control & { showduration?: boolean };
      'media-time-range': Control;
      'media-volume-range': Control;
    }
  }
}
