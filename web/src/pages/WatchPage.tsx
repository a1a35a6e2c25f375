import { useEffect, useState } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import { refresher } from '../api';
import { getProgress, getStreamInfo, getVideo, streamUrl } from '../api/endpoints';
import type { ProgressRecord, StreamInfo, VideoDetail } from '../api/types';
import { ErrorMessage } from '../components/ErrorMessage';
import { Icon } from '../components/Icon';
import { language, t } from '../i18n';
import { formatDate, formatDuration } from '../lib/format';
import { useLoad, usePageTitle, usePolling } from '../lib/hooks';
import { Player } from '../player/Player';
import { StreamFacts } from './watch/StreamFacts';

const SESSION_MAX_AGE_MS = 9 * 60_000;
const POLL_MS = 2000;

export default function WatchPage() {
  const id = useRoute().params.id ?? '';
  return <Watch key={id} id={id} />;
}

function Watch({ id }: { id: string }) {
  const [loaded, reload] = useLoad((signal) => getVideo(id, { signal }), [id]);
  const [polled, setPolled] = useState<VideoDetail | null>(null);
  const video = polled ?? loaded.data;
  usePageTitle(video?.title ?? t('player.title'));
  usePolling(async () => setPolled(await getVideo(id)), POLL_MS, video?.status === 'processing');
  const isReady = video?.status === 'ready';
  const [info] = useLoad(
    (signal) => (isReady ? getStreamInfo(id, { signal }) : Promise.resolve(null)),
    [id, isReady],
  );
  // A language that is changed loads the facts anew; what is playing must not notice.
  const src = info.data?.stream_url ?? (info.phase === 'failed' ? streamUrl(id) : null);

  return (
    <div class="watch">
      {!video && loaded.phase === 'loading' && <div class="stage stage-empty" aria-busy="true" />}
      {!video && loaded.phase === 'failed' && (
        <div class="stage stage-empty">
          <ErrorMessage error={loaded.error} onRetry={reload} />
        </div>
      )}
      {video && <Stage video={video} src={src} />}
      <div class="watch-text">
        <a class="back" href="/">
          <Icon name="back" size={18} />
          {t('player.back')}
        </a>
        {video && <About video={video} info={info.data ?? null} />}
      </div>
    </div>
  );
}

interface StageProps {
  video: VideoDetail;
  /** What to play; null until it is known. */
  src: string | null;
}

function Stage({ video, src }: StageProps) {
  if (video.status === 'processing') {
    return (
      <div class="stage stage-empty" role="status">
        <span class="spinner" aria-hidden="true" />
        <p>{t('player.processing')}</p>
      </div>
    );
  }
  if (video.status === 'failed') {
    return (
      <div class="stage stage-empty">
        <ErrorMessage error={`${t('player.failed')} ${video.failure_reason ?? ''}`.trim()} />
      </div>
    );
  }
  return <ReadyStage video={video} src={src} />;
}

/** Shows the player as soon as the saved position is known, or known to be unknowable. */
function ReadyStage({ video, src }: StageProps) {
  const [record, setRecord] = useState<ProgressRecord | null | 'unknown' | 'loading'>('loading');
  useEffect(() => {
    let current = true;
    // The first byte request should not meet a token that is about to end.
    refresher
      .ensureFresh(SESSION_MAX_AGE_MS)
      .then(() => getProgress(video.id))
      .catch(() => 'unknown' as const)
      .then((result) => {
        if (current) setRecord(result);
      });
    return () => {
      current = false;
    };
  }, [video.id]);
  return record === 'loading' || src === null ? (
    <div class="stage stage-empty" aria-busy="true">
      <span class="spinner" aria-hidden="true" />
    </div>
  ) : (
    <Player video={video} src={src} record={record} />
  );
}

function About({ video, info }: { video: VideoDetail; info: StreamInfo | null }) {
  return (
    <>
      <h1>{video.title}</h1>
      <p class="watch-meta">
        {video.duration_sec !== null && <span>{formatDuration(video.duration_sec, language.value)}</span>}
        <span>{formatDate(video.created_at, language.value)}</span>
      </p>
      {video.description && <p class="watch-description">{video.description}</p>}
      {info && <StreamFacts info={info} />}
      {video.status === 'ready' && <p class="watch-keys">{t('player.keys')}</p>}
    </>
  );
}
