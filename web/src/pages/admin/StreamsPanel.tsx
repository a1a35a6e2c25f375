import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../../api/errors';
import { listStreams, stopStream } from '../../api/playSessions';
import type { LiveStream, StreamMetrics } from '../../api/types';
import { ErrorMessage } from '../../components/ErrorMessage';
import { language, t } from '../../i18n';
import { sourceText } from '../../i18n/codeText';
import { formatBitrate, formatBytes, formatPercent, formatSince } from '../../lib/format';
import { useLoad, usePolling } from '../../lib/hooks';
import { LiveCharts } from './LiveCharts';
import { type Sample, sampleOf, withSample } from './samples';

const POLL = { firstMs: 6000 };
const PAGE_SIZE = 100;

interface Live {
  pages: number;
  streams: LiveStream[];
  total: number;
  metrics: StreamMetrics;
}

/** The viewers who are watching now. */
export function StreamsPanel() {
  const [pages, setPages] = useState(1);
  const [loaded, reload] = useLoad((signal) => load(pages, signal), [pages]);
  const [polled, setPolled] = useState<Live | null>(null);
  const [stopped, setStopped] = useState<string | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const live = polled?.pages === pages ? polled : (loaded.data ?? polled);

  const [samples, setSamples] = useState<readonly Sample[]>([]);
  const metrics = live?.metrics;
  useEffect(() => {
    if (metrics) setSamples((known) => withSample(known, sampleOf(metrics, Date.now())));
  }, [metrics]);

  const refresh = async () => setPolled(await load(pages));
  usePolling(refresh, true, POLL);

  const stop = async (stream: LiveStream) => {
    setProblem(null);
    try {
      await stopStream(stream.session_id);
      setStopped(nameOf(stream));
    } catch (error) {
      // It may have ended meanwhile.
      if (!(error instanceof ApiError && error.status === 404)) setProblem(error);
    }
    await refresh().catch(setProblem);
  };

  return (
    <section class="panel streams" aria-labelledby="live-streams" data-testid="streams-panel">
      <div class="section-head">
        <h2 id="live-streams">{t('streams.title')}</h2>
      </div>
      {loaded.phase === 'failed' && !live && <ErrorMessage error={loaded.error} onRetry={reload} retries />}
      {problem !== null && <ErrorMessage error={problem} />}
      <p class="approved" role="status">
        {stopped !== null && t('streams.stopped', { name: stopped })}
      </p>
      {live && live.metrics.opens_in_sec > 0 && (
        <p class="notice" role="status">
          {t('streams.opensIn', { seconds: Math.ceil(live.metrics.opens_in_sec) })}
        </p>
      )}
      <Totals metrics={live?.metrics} />
      <LiveCharts samples={samples} />
      {live && (
        <>
          {live.streams.length === 0 ? (
            <p class="quiet">{t('streams.none')}</p>
          ) : (
            <StreamTable streams={live.streams} onStop={(stream) => void stop(stream)} />
          )}
          {live.streams.length < live.total && (
            <div class="more">
              <button type="button" class="button" onClick={() => setPages(pages + 1)}>
                {t('common.loadMore')}
              </button>
            </div>
          )}
        </>
      )}
    </section>
  );
}

async function load(pages: number, signal?: AbortSignal): Promise<Live> {
  const options = signal ? { signal } : {};
  const [first, ...more] = await Promise.all([
    listStreams(1, PAGE_SIZE, options),
    ...Array.from({ length: pages - 1 }, (_, index) => listStreams(index + 2, PAGE_SIZE, options)),
  ]);
  const { total, metrics } = first;
  return { pages, metrics, streams: [first, ...more].flatMap(({ items }) => items), total };
}

/** Takes its space before the figures arrive, so that nothing below it moves. */
function Totals({ metrics }: { metrics: StreamMetrics | undefined }) {
  const entries: [string, string | undefined][] = [
    [t('streams.active'), metrics && `${metrics.active} / ${metrics.max_streams}`],
    [t('streams.queued'), metrics && `${metrics.queued} / ${metrics.stream_queue}`],
    [t('streams.users'), metrics && String(metrics.users)],
    [t('streams.bandwidth'), metrics && formatBitrate(metrics.bandwidth_mbps * 1e6)],
    [t('streams.sent'), metrics && formatBytes(metrics.bytes_sent)],
    [t('streams.hitRate'), metrics && formatPercent(metrics.cache_hit_rate, language.value)],
    [t('streams.replicas'), metrics && String(metrics.replicas)],
  ];
  return (
    <dl class="totals" data-testid="stream-totals">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? '–'}</dd>
        </div>
      ))}
    </dl>
  );
}

function StreamTable({ streams, onStop }: { streams: LiveStream[]; onStop: (stream: LiveStream) => void }) {
  return (
    <div class="table-scroll">
      <table class="stacking">
        <thead>
          <tr>
            <th scope="col">{t('streams.who')}</th>
            <th scope="col">{t('streams.what')}</th>
            <th scope="col">{t('streams.device')}</th>
            <th scope="col">{t('streams.since')}</th>
            <th scope="col">{t('streams.bytes')}</th>
            <th scope="col">{t('streams.rate')}</th>
            <th scope="col">{t('streams.source')}</th>
            <th scope="col">{t('streams.replica')}</th>
            <th scope="col">
              <span class="visually-hidden">{t('streams.actions')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {streams.map((stream) => (
            <StreamRow key={stream.session_id} stream={stream} onStop={onStop} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function StreamRow({ stream, onStop }: { stream: LiveStream; onStop: (stream: LiveStream) => void }) {
  const title = stream.title ?? t('device.unknownTitle');
  const isPlaying = stream.status === 'active';
  return (
    <tr data-testid="stream-row" data-session-id={stream.session_id}>
      <th scope="row">
        <span class="clipped">{nameOf(stream)}</span>
      </th>
      <td data-label={t('streams.what')}>
        <span class="clipped" title={title}>
          {title}
        </span>
      </td>
      <td data-label={t('streams.device')}>
        <span class="clipped" title={stream.device_name}>
          {stream.device_name}
        </span>
      </td>
      <td data-label={t('streams.since')}>
        <span>
          {formatSince(stream.since, language.value)}
          {!isPlaying && <span class="chip chip-pending">{t('streams.waiting')}</span>}
        </span>
      </td>
      <td data-label={t('streams.bytes')} class="figure">
        {isPlaying ? formatBytes(stream.bytes_sent) : '–'}
      </td>
      <td data-label={t('streams.rate')} class="figure">
        {isPlaying ? formatBitrate(stream.rate_mbps * 1e6) : '–'}
      </td>
      <td data-label={t('streams.source')}>{isPlaying ? sourceText(stream.source) : '–'}</td>
      <td data-label={t('streams.replica')}>
        <span class="clipped" title={stream.replica}>
          {stream.replica}
        </span>
      </td>
      <td class="row-action">
        <button
          type="button"
          class="button"
          aria-label={t('streams.stopUser', { name: nameOf(stream), title })}
          data-testid="stop-stream"
          onClick={() => onStop(stream)}
        >
          {t('streams.stop')}
        </button>
      </td>
    </tr>
  );
}

const nameOf = (stream: LiveStream): string => stream.display_name ?? t('streams.unknownUser');
