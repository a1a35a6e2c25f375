// Imports only the controls that are used: all of media-chrome is three times as big.
import 'media-chrome/media-controller';
import 'media-chrome/media-control-bar';
import 'media-chrome/menu/media-captions-menu';
import 'media-chrome/menu/media-captions-menu-button';
import 'media-chrome/media-fullscreen-button';
import 'media-chrome/media-loading-indicator';
import 'media-chrome/media-mute-button';
import 'media-chrome/media-pip-button';
import 'media-chrome/media-play-button';
import 'media-chrome/media-playback-rate-button';
import 'media-chrome/media-preview-chapter-display';
import 'media-chrome/media-preview-thumbnail';
import 'media-chrome/media-preview-time-display';
import 'media-chrome/media-seek-backward-button';
import 'media-chrome/media-seek-forward-button';
import 'media-chrome/media-time-display';
import 'media-chrome/media-time-range';
import 'media-chrome/media-volume-range';
import { addTranslation } from 'media-chrome/dist/utils/i18n.js';
import { mediaChromeKo } from '../i18n/mediaChromeKo';

addTranslation('ko', mediaChromeKo);
