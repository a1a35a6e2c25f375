import { useState } from 'preact/hooks';
import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon } from '../../components/Icon';
import { TextField } from '../../components/TextField';
import { language, t } from '../../i18n';
import { failureText } from '../../i18n/codeText';
import { formatBytes, formatDuration } from '../../lib/format';
import {
  cancel,
  discardUpload,
  pause,
  remove,
  retry,
  retryProcessing,
  type UploadItem,
  type UploadState,
} from '../../upload/queue';

export function UploadRow({ item }: { item: UploadItem }) {
  const state = item.state.value;
  const { phase } = state;
  const editable = phase === 'draft' || phase === 'failed' || phase === 'cancelled';
  const busy = phase === 'queued' || phase === 'sending';
  const name = item.title.value || item.file.name;

  return (
    <li class={`upload upload-${phase}`} data-testid="upload-item" data-phase={phase}>
      <div class="upload-head">
        <span class="upload-icon">
          <Icon name={phase === 'done' ? 'check' : phase === 'unusable' ? 'alert' : 'film'} />
        </span>
        <div class="upload-name">
          <strong>{editable ? item.file.name : name}</strong>
          <span>{formatBytes(item.file.size)}</span>
        </div>
        {phase === 'unusable' ? null : busy ? (
          <>
            {phase === 'sending' && (
              <button
                type="button"
                class="button button-quiet"
                onClick={() => pause(item)}
                data-testid="upload-pause"
              >
                {t('upload.pause')}
              </button>
            )}
            <button
              type="button"
              class="button button-quiet"
              onClick={() => cancel(item)}
              data-testid="upload-cancel"
            >
              {t('common.cancel')}
            </button>
          </>
        ) : (
          <button
            type="button"
            class="button button-quiet button-icon"
            aria-label={`${t('common.remove')}: ${name}`}
            onClick={() => remove(item)}
          >
            <Icon name="close" size={18} />
          </button>
        )}
      </div>
      {editable && (
        <div class="upload-fields">
          <TextField
            label={t('upload.fieldTitle')}
            value={item.title.value}
            maxLength={200}
            testId="upload-title"
            onInput={(value) => {
              item.title.value = value;
            }}
          />
          <TextField
            label={t('upload.fieldDescription')}
            value={item.description.value}
            maxLength={5000}
            testId="upload-description"
            onInput={(value) => {
              item.description.value = value;
            }}
          />
          <label class="upload-protect">
            <input
              type="checkbox"
              checked={item.isProtected.value}
              data-testid="upload-protect"
              onChange={(event) => {
                item.isProtected.value = event.currentTarget.checked;
              }}
            />
            <span>
              {t('upload.protect')}
              <small>{t('upload.protectHint')}</small>
            </span>
          </label>
        </div>
      )}
      {phase === 'sending' && <Sending state={state} total={item.file.size} title={name} />}
      {phase === 'queued' && <p class="upload-status">{t('upload.queued')}</p>}
      {phase === 'paused' && (
        <p class="upload-status" data-testid="upload-paused">
          {t('upload.paused', { sent: formatBytes(state.sent), total: formatBytes(item.file.size) })}{' '}
          <button
            type="button"
            class="button button-quiet"
            onClick={() => retry(item)}
            data-testid="upload-resume"
          >
            {t('upload.resume')}
          </button>
        </p>
      )}
      {phase === 'cancelled' && (
        <p class="upload-status">
          {t('upload.cancelled')} <RetryButton item={item} />
        </p>
      )}
      {phase === 'failed' && (
        <ErrorMessage error={`${t('upload.failed')}: ${state.message}`} onRetry={() => retry(item)} />
      )}
      {item.duplicateOf.value !== null && (
        <p class="upload-status" data-testid="upload-duplicate">
          {t('upload.duplicate')}{' '}
          <a href={`/watch/${encodeURIComponent(item.duplicateOf.value)}`}>{t('upload.seeDuplicate')}</a>
        </p>
      )}
      {phase === 'processing' && (
        <p class="upload-status" role="status">
          <span class="spinner" aria-hidden="true" /> {t('upload.processing')}{' '}
          <a href="/">{t('upload.seeList')}</a>
        </p>
      )}
      {phase === 'unusable' && <Unusable item={item} video={state.video} name={name} />}
      {phase === 'done' && (
        <p class="upload-status upload-status-done" role="status">
          {t('upload.done')} <a href={`/watch/${encodeURIComponent(state.videoId)}`}>{t('upload.watch')}</a>
        </p>
      )}
    </li>
  );
}

interface UnusableProps {
  item: UploadItem;
  video: Extract<UploadState, { phase: 'unusable' }>['video'];
  name: string;
}

/** Shows why a video could not be processed, and offers the possible actions. */
function Unusable({ item, video, name }: UnusableProps) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const attempt = async (task: (item: UploadItem) => Promise<void>) => {
    setBusy(true);
    setProblem(null);
    await task(item).catch(setProblem);
    setBusy(false);
  };
  return (
    <>
      <div class="notice notice-error" role="alert" data-testid="upload-unusable">
        <Icon name="alert" />
        <p>
          <strong>{t('upload.unusable')}</strong> {failureText(video)}
        </p>
        <div class="notice-actions">
          <button
            type="button"
            class="button button-quiet"
            disabled={busy}
            data-testid="upload-retry"
            onClick={() => void attempt(retryProcessing)}
          >
            {t('common.retry')}
          </button>
          <button
            type="button"
            class="button button-quiet"
            disabled={busy}
            aria-label={t('upload.deleteVideo', { title: name })}
            data-testid="upload-delete"
            onClick={() => void attempt(discardUpload)}
          >
            {t('upload.delete')}
          </button>
        </div>
      </div>
      {problem !== null && <ErrorMessage error={problem} />}
    </>
  );
}

function RetryButton({ item }: { item: UploadItem }) {
  return (
    <button type="button" class="button button-quiet" onClick={() => retry(item)}>
      {t('common.retry')}
    </button>
  );
}

interface SendingProps {
  state: Extract<UploadState, { phase: 'sending' }>;
  total: number;
  title: string;
}

function Sending({ state, total, title }: SendingProps) {
  const { sent, speed, secondsLeft } = state;
  const percent = Math.floor((sent / total) * 100);
  return (
    <div class="upload-progress">
      <progress
        max={100}
        value={percent}
        aria-label={t('upload.progressLabel', { title })}
        data-testid="upload-progress"
      />
      <p class="upload-figures">
        <strong>{percent}%</strong>
        {sent < total ? (
          <>
            <span>{t('upload.sending', { sent: formatBytes(sent), total: formatBytes(total) })}</span>
            {speed !== null && <span>{t('upload.speed', { speed: formatBytes(speed) })}</span>}
            {secondsLeft !== null && (
              <span>{t('upload.timeLeft', { time: formatDuration(secondsLeft, language.value) })}</span>
            )}
          </>
        ) : (
          <span>{t('upload.finishing')}</span>
        )}
      </p>
    </div>
  );
}
