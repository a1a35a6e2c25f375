import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { errorText } from '../../api/errors';
import { DeviceList } from '../../components/DeviceList';
import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon, PlayIcon } from '../../components/Icon';
import { t } from '../../i18n';
import { type PlayingKey, p } from '../../i18n/playing';
import type { PlaySession } from '../../playsession/playSession';
import type { PlayState, Refusal } from '../../playsession/state';

interface Props {
  session: PlaySession;
  /** Called when the viewer wants to watch here, perhaps in place of another session. */
  onPlayHere: (insteadOf?: string) => void;
  /** Whether it lies over the player. */
  covers: boolean;
}

/** What the viewer sees, and can do, while there is no play session. */
export function SessionPanel({ session, onPlayHere, covers }: Props) {
  return (
    <div
      class={`session-panel ${covers ? 'stage-cover' : 'stage-empty'}`}
      tabIndex={-1}
      data-testid="session-panel"
    >
      <Content session={session} onPlayHere={onPlayHere} />
    </div>
  );
}

function Content({ session, onPlayHere }: Omit<Props, 'covers'>) {
  const state = session.state.value;
  switch (state.phase) {
    case 'opening':
    case 'active':
      return <span class="spinner" aria-hidden="true" />;
    case 'queued':
      return (
        <>
          <p class="queue-position" aria-hidden="true" data-testid="queue-position">
            {state.position}
          </p>
          <h2>{p('session.queuedTitle')}</h2>
          <p>{positionText(state.position)}</p>
          <p class="quiet">{p('session.queuedText')}</p>
          <Actions>
            <button type="button" class="button" data-testid="leave-queue" onClick={() => session.close()}>
              {p('session.leaveQueue')}
            </button>
          </Actions>
        </>
      );
    case 'refused':
      return <RefusalNotice refusal={state.refusal} onPlayHere={onPlayHere} />;
    case 'unavailable':
      return (
        <>
          <h2>{p('session.unavailableTitle')}</h2>
          <p>{errorText(state.error)}</p>
          <p class="quiet">
            <span class="spinner" aria-hidden="true" /> {p('session.unavailableText')}
          </p>
          <Actions>
            <button type="button" class="button" onClick={() => onPlayHere()}>
              {p('session.tryNow')}
            </button>
          </Actions>
        </>
      );
    case 'failed':
      return <ErrorMessage error={state.error} onRetry={() => onPlayHere()} />;
    case 'gone':
      return (
        <>
          <h2>{p('session.goneTitle')}</h2>
          <p data-testid="gone-reason">{goneText(state.reason)}</p>
          <Actions>
            <PlayHere label={p('session.playAgain')} onClick={() => onPlayHere()} />
          </Actions>
        </>
      );
    case 'closed':
      return (
        <>
          <h2>{p(state.isFinished ? 'session.finishedTitle' : 'session.closedTitle')}</h2>
          <p>{p(state.isFinished ? 'session.finishedText' : 'session.closedText')}</p>
          <Actions>
            <PlayHere
              label={p(state.isFinished ? 'session.watchAgain' : 'session.play')}
              onClick={() => onPlayHere()}
            />
          </Actions>
        </>
      );
  }
}

function RefusalNotice({ refusal, onPlayHere }: { refusal: Refusal } & Pick<Props, 'onPlayHere'>) {
  const { scope, devices } = refusal;
  return (
    <>
      <h2>{refusalTitle(refusal)}</h2>
      <p>{p(scope === 'server' ? 'session.serverFullText' : 'session.userFullText')}</p>
      {devices.length > 0 && (
        <DeviceList
          devices={devices}
          action={({ session_id, status, device_name: device }) => (
            <button
              type="button"
              class={status === 'active' ? 'button button-primary' : 'button'}
              aria-label={p(status === 'active' ? 'session.takeOverDevice' : 'session.takePlaceDevice', {
                device,
              })}
              data-testid="take-over"
              onClick={() => onPlayHere(session_id)}
            >
              {p(status === 'active' ? 'session.takeOver' : 'session.takePlace')}
            </button>
          )}
        />
      )}
      <Actions>
        <TryAgain afterSec={refusal.retryAfterSec ?? 0} onClick={() => onPlayHere()} />
      </Actions>
    </>
  );
}

/** Shows when to try again; the seconds are hidden from screen readers, which would read out each. */
function TryAgain({ afterSec, onClick }: { afterSec: number; onClick: () => void }) {
  const [left, setLeft] = useState(Math.ceil(afterSec));
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  return (
    <button
      type="button"
      class="button"
      disabled={left > 0}
      aria-label={t('common.retry')}
      data-testid="try-again"
      onClick={onClick}
    >
      <Icon name="restart" size={18} />
      {left > 0 ? p('session.tryAgainIn', { seconds: left }) : t('common.retry')}
    </button>
  );
}

function PlayHere({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <button type="button" class="button button-primary" data-testid="play-here" onClick={onClick}>
      <PlayIcon size={18} />
      {label}
    </button>
  );
}

function Actions({ children }: { children: ComponentChildren }) {
  return <div class="session-actions">{children}</div>;
}

/** The announcement for screen readers when the state has changed. */
export function announcement(state: PlayState): string {
  switch (state.phase) {
    case 'opening':
      return p('session.opening');
    case 'active':
      return '';
    case 'queued':
      return `${p('session.queuedTitle')}. ${positionText(state.position)}`;
    case 'refused':
      return refusalTitle(state.refusal);
    case 'unavailable':
      return `${p('session.unavailableTitle')}. ${p('session.unavailableText')}`;
    case 'failed':
      return '';
    case 'gone':
      return `${p('session.goneTitle')}. ${goneText(state.reason)}`;
    case 'closed':
      return p(state.isFinished ? 'session.finishedTitle' : 'session.closedTitle');
  }
}

function positionText(position: number): string {
  return position === 1 ? p('session.queuedNext') : p('session.queuedPosition', { position });
}

function refusalTitle({ scope, limit }: Refusal): string {
  if (scope === 'server') return p('session.serverFullTitle');
  if (limit === null) return p('session.userFullTitle');
  return limit === 1 ? p('session.userFullTitle.one') : p('session.userFullTitle.limit', { limit });
}

const GONE_TEXTS: Record<string, PlayingKey> = {
  stopped: 'session.goneStopped',
  replaced: 'session.goneReplaced',
  admin: 'session.goneAdmin',
  revoked: 'session.goneRevoked',
  expired: 'session.goneExpired',
};

function goneText(reason: string): string {
  return p(GONE_TEXTS[reason] ?? 'session.goneUnknown');
}
