import { useEffect, useRef, useState } from 'preact/hooks';
import { refresher } from '../../api';
import { getProgress } from '../../api/endpoints';
import { isMissing as isMissingError } from '../../api/errors';
import type { ProgressRecord, VideoDetail } from '../../api/types';
import { ErrorMessage } from '../../components/ErrorMessage';
import { t } from '../../i18n';
import { failureText } from '../../i18n/told';
import { arriveAt } from '../../lib/arrival';
import { Player } from '../../player/Player';
import { usePlaySession } from '../../playsession/usePlaySession';
import { announcement, SessionPanel } from './SessionPanel';
import { SHOWN, useKeptFocus } from './useKeptFocus';

const LOGIN_MAX_AGE_MS = 9 * 60_000;

interface Props {
  video: VideoDetail;
  /** The film turned out to be gone. */
  onMissing: () => void;
}

/** Where the film is shown, or why it is not. */
export function Stage({ video, onMissing }: Props) {
  if (video.status === 'ready') return <ReadyStage video={video} onMissing={onMissing} />;
  return (
    <div class="stage">
      {video.status === 'processing' ? (
        <div class="stage-empty" role="status">
          <span class="spinner" aria-hidden="true" />
          <p>{t('player.processing')}</p>
        </div>
      ) : (
        <div class="stage-empty">
          <ErrorMessage error={`${t('player.failed')} ${failureText(video)}`} />
        </div>
      )}
    </div>
  );
}

function ReadyStage({ video, onMissing }: Props) {
  const stage = useRef<HTMLDivElement>(null);
  const session = usePlaySession(video.id);
  const record = useSavedPosition(video.id);
  const state = session.state.value;
  const isActive = state.phase === 'active';
  // Once it has played, the player stays: it knows the place to go on from.
  const wasActive = useRef(false);
  wasActive.current ||= isActive;
  const hasPlayer = wasActive.current && record !== 'loading';
  const isAskedFor = useRef(false);
  const playHere = (insteadOf?: string) => {
    isAskedFor.current = true;
    session.open(insteadOf);
  };
  // The player may come later than its session, when the saved position is late.
  useKeptFocus(stage, `${state.phase} ${hasPlayer}`);
  useEffect(() => arriveAt(stage.current?.querySelector<HTMLElement>(SHOWN)), []);
  const isMissing = state.phase === 'failed' && isMissingError(state.error);
  useEffect(() => {
    if (isMissing) onMissing();
  }, [isMissing, onMissing]);

  return (
    <div class="stage" ref={stage} data-phase={state.phase} data-testid="stage">
      <p class="visually-hidden" role="status" data-testid="session-status">
        {announcement(state)}
      </p>
      {hasPlayer && <Player video={video} session={session} isAskedFor={isAskedFor} record={record} />}
      {!hasPlayer && video.thumbnail_url && <img class="stage-poster" src={video.thumbnail_url} alt="" />}
      {!isActive && <SessionPanel session={session} onPlayHere={playHere} covers={hasPlayer} />}
      {isActive && !hasPlayer && (
        <div class="stage-empty" aria-busy="true">
          <span class="spinner" aria-hidden="true" />
        </div>
      )}
    </div>
  );
}

/** `unknown` when it could not be read. */
function useSavedPosition(videoId: string): ProgressRecord | null | 'unknown' | 'loading' {
  const [record, setRecord] = useState<ProgressRecord | null | 'unknown' | 'loading'>('loading');
  useEffect(() => {
    let current = true;
    refresher
      .ensureFresh(LOGIN_MAX_AGE_MS)
      .then(() => getProgress(videoId))
      .catch(() => 'unknown' as const)
      .then((result) => {
        if (current) setRecord(result);
      });
    return () => {
      current = false;
    };
  }, [videoId]);
  return record;
}
