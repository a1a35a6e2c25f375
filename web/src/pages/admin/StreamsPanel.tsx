import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../../api/errors';
import { listStreams, stopStream } from '../../api/playSessions';
import type { LiveStream, StreamMetrics } from '../../api/types';
import { ErrorMessage } from '../../components/ErrorMessage';
import { language, t } from '../../i18n';
import { ta } from '../../i18n/admin';
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
        <h2 id="live-streams">{ta('streams.title')}</h2>
      </div>
      {loaded.phase === 'failed' && !live && <ErrorMessage error={loaded.error} onRetry={reload} retries />}
      {problem !== null && <ErrorMessage error={problem} />}
      <p class="approved" role="status">
        {stopped !== null && ta('streams.stopped', { name: stopped })}
      </p>
      {live && live.metrics.opens_in_sec > 0 && (
        <p class="notice" role="status">
          {ta('streams.opensIn', { seconds: Math.ceil(live.metrics.opens_in_sec) })}
        </p>
      )}
      <Totals metrics={live?.metrics} />
      <LiveCharts samples={samples} />
      {live && (
        <>
          {live.streams.length === 0 ? (
            <p class="quiet">{ta('streams.none')}</p>
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
    [ta('streams.active'), metrics && `${metrics.active} / ${metrics.max_streams}`],
    [ta('streams.queued'), metrics && `${metrics.queued} / ${metrics.stream_queue}`],
    [ta('streams.users'), metrics && String(metrics.users)],
    [ta('streams.bandwidth'), metrics && formatBitrate(metrics.bandwidth_mbps * 1e6)],
    [ta('streams.sent'), metrics && formatBytes(metrics.bytes_sent)],
    [ta('streams.hitRate'), metrics && formatPercent(metrics.cache_hit_rate, language.value)],
    [ta('streams.replicas'), metrics && String(metrics.replicas)],
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
            <th scope="col">{ta('streams.who')}</th>
            <th scope="col">{ta('streams.what')}</th>
            <th scope="col">{ta('streams.device')}</th>
            <th scope="col">{ta('streams.since')}</th>
            <th scope="col">{ta('streams.bytes')}</th>
            <th scope="col">{ta('streams.rate')}</th>
            <th scope="col">{ta('streams.source')}</th>
            <th scope="col">{ta('streams.replica')}</th>
            <th scope="col">
              <span class="visually-hidden">{ta('streams.actions')}</span>
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
      <td data-label={ta('streams.what')}>
        <span class="clipped" title={title}>
          {title}
        </span>
      </td>
      <td data-label={ta('streams.device')}>
        <span class="clipped" title={stream.device_name}>
          {stream.device_name}
        </span>
      </td>
      <td data-label={ta('streams.since')}>
        <span>
          {formatSince(stream.since, language.value)}
          {!isPlaying && <span class="chip chip-pending">{ta('streams.waiting')}</span>}
        </span>
      </td>
      <td data-label={ta('streams.bytes')} class="figure">
        {isPlaying ? formatBytes(stream.bytes_sent) : '–'}
      </td>
      <td data-label={ta('streams.rate')} class="figure">
        {isPlaying ? formatBitrate(stream.rate_mbps * 1e6) : '–'}
      </td>
      <td data-label={ta('streams.source')}>{isPlaying ? sourceText(stream.source) : '–'}</td>
      <td data-label={ta('streams.replica')}>
        <span class="clipped" title={stream.replica}>
          {stream.replica}
        </span>
      </td>
      <td class="row-action">
        <button
          type="button"
          class="button"
          aria-label={ta('streams.stopUser', { name: nameOf(stream), title })}
          data-testid="stop-stream"
          onClick={() => onStop(stream)}
        >
          {ta('streams.stop')}
        </button>
      </td>
    </tr>
  );
}

const nameOf = (stream: LiveStream): string => stream.display_name ?? ta('streams.unknownUser');
