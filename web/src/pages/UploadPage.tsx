import { useRef, useState } from 'preact/hooks';
import type { User } from '../api/types';
import { unfinishedUploads } from '../api/upload';
import { ErrorMessage } from '../components/ErrorMessage';
import { Icon } from '../components/Icon';
import { PageHeading } from '../components/PageHeading';
import { t } from '../i18n';
import { usePageTitle } from '../lib/hooks';
import { addFiles, clearFinished, startDrafts, uploads } from '../upload/queue';
import { UploadRow } from './upload/UploadRow';

export default function UploadPage({ user }: { user: User }) {
  usePageTitle(t('upload.title'));
  return (
    <div class="page page-narrow">
      <PageHeading>{t('upload.title')}</PageHeading>
      {user.can_upload ? <Uploader /> : <ErrorMessage error={t('upload.forbidden')} />}
    </div>
  );
}

function Uploader() {
  const [refused, setRefused] = useState<string[]>([]);
  const [unfinished] = useState(unfinishedUploads);
  const items = uploads.value;
  const drafts = items.some(({ state }) => state.value.phase === 'draft');
  const finished = items.some(({ state }) => /^(done|cancelled)$/.test(state.value.phase));

  return (
    <>
      <p class="lead">{t('upload.intro')}</p>
      <DropZone onFiles={(files) => setRefused(addFiles(files))} />
      {items.length === 0 && unfinished.length > 0 && (
        <p class="lead" data-testid="upload-unfinished">
          {t('upload.unfinished', { names: unfinished.join(', ') })}
        </p>
      )}
      {refused.map((message) => (
        <ErrorMessage key={message} error={message} />
      ))}
      {items.length > 0 && (
        <section aria-labelledby="upload-queue">
          <div class="section-head">
            <h2 id="upload-queue">{t('upload.queue')}</h2>
            <div class="section-actions">
              {finished && (
                <button type="button" class="button button-quiet" onClick={clearFinished}>
                  {t('upload.clearDone')}
                </button>
              )}
              {drafts && (
                <button
                  type="button"
                  class="button button-primary"
                  onClick={startDrafts}
                  data-testid="upload-submit"
                >
                  <Icon name="upload" size={18} />
                  {t('upload.start')}
                </button>
              )}
            </div>
          </div>
          <ul class="uploads">
            {items.map((item) => (
              <UploadRow key={item.key} item={item} />
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function DropZone({ onFiles }: { onFiles: (files: File[]) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);

  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    onFiles([...(event.dataTransfer?.files ?? [])]);
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is an extra; the button inside does the same by keyboard
    <div
      class={over ? 'drop-zone over' : 'drop-zone'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
      }}
      onDrop={drop}
    >
      <Icon name="film" size={44} />
      <p class="drop-zone-title">{t('upload.drop')}</p>
      <p class="drop-zone-or">{t('upload.or')}</p>
      <button type="button" class="button" onClick={() => input.current?.click()}>
        {t('upload.choose')}
      </button>
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        accept="video/*,.mkv,.ts,.m2ts"
        multiple
        tabIndex={-1}
        aria-label={t('upload.choose')}
        data-testid="upload-input"
        onChange={(event) => {
          onFiles([...(event.currentTarget.files ?? [])]);
          // Choosing the same file again must fire again.
          event.currentTarget.value = '';
        }}
      />
      <p class="drop-zone-formats">{t('upload.formats')}</p>
    </div>
  );
}
