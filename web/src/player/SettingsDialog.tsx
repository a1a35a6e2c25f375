import { useState } from 'preact/hooks';
import { Dialog } from '../components/Dialog';
import { t } from '../i18n';
import { p } from '../i18n/playing';
import { CastButton } from './CastButton';
import { SPEEDS } from './hotkeys';
import { playFrom } from './jump';
import { SubtitleSearch } from './SubtitleSearch';
import { SubtitleStyle } from './SubtitleStyle';

interface Props {
  video: HTMLVideoElement;
  hasSubtitles: boolean;
  /** Not what this browser alone can decrypt. */
  canCast: boolean;
  onClose: () => void;
}

/** What a viewer sets while a film plays. Each choice counts at once. */
export function SettingsDialog({ video, hasSubtitles, canCast, onClose }: Props) {
  return (
    <Dialog title={p('settings.title')} onClose={onClose} testId="player-settings">
      <div class="player-settings">
        <SpeedField video={video} />
        {canCast && <CastButton video={video} />}
        {hasSubtitles && (
          <>
            <SubtitleStyle />
            <SubtitleSearch
              video={video}
              onChoose={(seconds) => {
                playFrom(seconds);
                onClose();
              }}
            />
          </>
        )}
      </div>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={onClose}>
          {t('common.close')}
        </button>
      </div>
    </Dialog>
  );
}

function SpeedField({ video }: { video: HTMLVideoElement }) {
  const [speed, setSpeed] = useState(video.playbackRate);
  const speeds = [...new Set([...SPEEDS, speed])].sort((one, other) => one - other);
  return (
    <label>
      {p('settings.speed')}
      <select
        value={String(speed)}
        data-testid="speed"
        onChange={(event) => {
          video.playbackRate = Number(event.currentTarget.value);
          setSpeed(video.playbackRate);
        }}
      >
        {speeds.map((each) => (
          <option key={each} value={String(each)}>
            {each}×
          </option>
        ))}
      </select>
    </label>
  );
}
