import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon } from '../../components/Icon';
import { TextField } from '../../components/TextField';
import { language, t } from '../../i18n';
import { formatBytes, formatDuration } from '../../lib/format';
import { cancel, remove, retry, type UploadItem, type UploadState } from '../../upload/queue';

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
          <Icon name={phase === 'done' ? 'check' : 'film'} />
        </span>
        <div class="upload-name">
          <strong>{editable ? item.file.name : name}</strong>
          <span>{formatBytes(item.file.size)}</span>
        </div>
        {busy ? (
          <button
            type="button"
            class="button button-quiet"
            onClick={() => cancel(item)}
            data-testid="upload-cancel"
          >
            {t('common.cancel')}
          </button>
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
        </div>
      )}
      {phase === 'sending' && <Sending state={state} total={item.file.size} title={name} />}
      {phase === 'queued' && <p class="upload-status">{t('upload.queued')}</p>}
      {phase === 'cancelled' && (
        <p class="upload-status">
          {t('upload.cancelled')} <RetryButton item={item} />
        </p>
      )}
      {phase === 'failed' && (
        <ErrorMessage error={`${t('upload.failed')}: ${state.message}`} onRetry={() => retry(item)} />
      )}
      {phase === 'done' && (
        <p class="upload-status upload-status-done" role="status">
          {t('upload.done')} <a href="/">{t('upload.seeList')}</a>
        </p>
      )}
    </li>
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
