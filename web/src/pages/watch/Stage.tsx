import { useEffect, useRef, useState } from 'preact/hooks';
import { refresher } from '../../api';
import { getProgress } from '../../api/endpoints';
import { isMissing as isMissingError, isPassing, retryAfterOf } from '../../api/errors';
import type { ProgressRecord, VideoDetail } from '../../api/types';
import { ErrorMessage } from '../../components/ErrorMessage';
import { failureText } from '../../i18n/codeText';
import { p } from '../../i18n/playing';
import { arriveAt } from '../../lib/arrival';
import type { Cancel } from '../../lib/backgroundTimers';
import { sourceSet } from '../../lib/pictures';
import { retryDelayMs } from '../../lib/retry';
import { whenSeen } from '../../lib/whenSeen';
import type { ProtectedFilm } from '../../lsv/film';
import type { StoredParts } from '../../lsv/offline/storedParts';
import { Player } from '../../player/Player';
import { usePlaySession } from '../../playsession/usePlaySession';
import { ProtectedStage } from './ProtectedStage';
import { announcement, SessionPanel } from './SessionPanel';
import { SHOWN, useKeptFocus } from './useKeptFocus';

const LOGIN_MAX_AGE_MS = 9 * 60_000;

interface Props {
  video: VideoDetail;
  /** Called when the film turns out to be deleted. */
  onMissing: () => void;
}

/** Shows the film, or why it can't be shown. */
export function Stage({ video, onMissing }: Props) {
  if (video.status === 'ready') {
    const ready = (film: ProtectedFilm | null) => (
      <ReadyStage video={video} film={film} onMissing={onMissing} />
    );
    return video.protection === 'lsv' ? <ProtectedStage video={video}>{ready}</ProtectedStage> : ready(null);
  }
  return (
    <div class="stage">
      {video.status === 'processing' ? (
        <div class="stage-empty" role="status">
          <span class="spinner" aria-hidden="true" />
          <p>{p('player.processing')}</p>
        </div>
      ) : (
        <div class="stage-empty">
          <ErrorMessage error={`${p('player.failed')} ${failureText(video)}`} />
        </div>
      )}
    </div>
  );
}

/** A film that can be played; `film` is what a protected one needs. */
export function ReadyStage({ video: known, film, onMissing }: Props & { film: ProtectedFilm | null }) {
  const stage = useRef<HTMLDivElement>(null);
  const stored = film?.stored ?? null;
  const video = stored?.video ?? known;
  const session = usePlaySession(video.id, film?.publicKey ?? null, stored !== null);
  const record = useSavedPosition(video.id, stored);
  const state = session.state.value;
  const isActive = state.phase === 'active';
  // Once it has played, the player stays mounted: it knows the position to continue from.
  const wasActive = useRef(false);
  wasActive.current ||= isActive;
  const hasPlayer = wasActive.current && record !== 'loading';
  const isAskedFor = useRef(false);
  const playHere = (insteadOf?: string) => {
    isAskedFor.current = true;
    session.open(insteadOf);
  };
  // The player may be mounted later than its session, when the saved position is late.
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
      {hasPlayer && (
        <Player video={video} film={film} session={session} isAskedFor={isAskedFor} record={record} />
      )}
      {!hasPlayer && video.thumbnail_url && (
        <img class="stage-poster" src={video.thumbnail_url} srcset={sourceSet(video.posters)} alt="" />
      )}
      {!isActive && <SessionPanel session={session} onPlayHere={playHere} covers={hasPlayer} />}
      {isActive && !hasPlayer && (
        <div class="stage-empty" aria-busy="true">
          <span class="spinner" aria-hidden="true" />
        </div>
      )}
    </div>
  );
}

function newerOf(saved: ProgressRecord | null, kept: ProgressRecord | null): ProgressRecord | null {
  if (!saved || !kept) return saved ?? kept;
  return Date.parse(kept.updated_at) > Date.parse(saved.updated_at) ? kept : saved;
}

const READ_ATTEMPTS = 3;

/**
 * `unknown` when it could not be read, and when the server was away for longer than the film should wait. Of a film that
 * is stored in this browser, what the browser knows counts then.
 */
function useSavedPosition(
  videoId: string,
  stored: StoredParts | null,
): ProgressRecord | null | 'unknown' | 'loading' {
  const [record, setRecord] = useState<ProgressRecord | null | 'unknown' | 'loading'>('loading');
  useEffect(() => {
    let current = true;
    let cancel: Cancel = () => undefined;
    const read = async (failures: number) => {
      try {
        await refresher.ensureFresh(LOGIN_MAX_AGE_MS);
        const saved = await getProgress(videoId);
        if (current) setRecord(stored ? newerOf(saved, await stored.position().catch(() => null)) : saved);
      } catch (error) {
        if (!current) return;
        if (stored) {
          const kept = await stored.position().catch(() => null);
          if (current) setRecord(kept);
        } else if (failures + 1 < READ_ATTEMPTS && isPassing(error)) {
          const delayMs = retryDelayMs(failures + 1, retryAfterOf(error), Math.random());
          cancel = whenSeen(delayMs, () => void read(failures + 1), { retries: true });
        } else setRecord('unknown');
      }
    };
    void read(0);
    return () => {
      current = false;
      cancel();
    };
  }, [videoId, stored]);
  return record;
}
