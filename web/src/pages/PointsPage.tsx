import { getHistory } from '../api/endpoints';
import { getPoints, type Ledger, type PointEntry } from '../api/me';
import { ErrorMessage } from '../components/ErrorMessage';
import { Icon } from '../components/Icon';
import { MediaSkeletons } from '../components/MediaRow';
import { MoreButton } from '../components/MoreButton';
import { PageHeading } from '../components/PageHeading';
import { language } from '../i18n';
import { v } from '../i18n/viewer';
import { formatNumber, formatSigned, formatSince } from '../lib/format';
import { useGrowingList } from '../lib/growingList';
import { useLoad, usePageTitle } from '../lib/hooks';

const TITLES = 100;

/** The viewer's points, line by line. */
export default function PointsPage() {
  usePageTitle(v('points.title'));
  const list = useGrowingList<PointEntry, Ledger>((page, signal) => getPoints(page, { signal }), keyOf);
  // The ledger has no titles; of the films that were watched lately, the history knows them.
  const [history] = useLoad((signal) => getHistory(TITLES, { signal }), []);
  const titles = new Map(history.data?.items.map(({ video_id, video }) => [video_id, video?.title]));
  const { items, state } = list;
  const balance = state.data?.[0]?.balance;
  return (
    <div class="page page-narrow">
      <a class="back" href="/account">
        <Icon name="back" size={18} /> {v('points.back')}
      </a>
      <PageHeading>{v('points.title')}</PageHeading>
      {state.phase === 'failed' && <ErrorMessage error={state.error} onRetry={list.reload} retries />}
      {balance !== undefined && (
        <p class="points-balance" data-testid="points-balance">
          {v('points.balance', { points: formatNumber(balance, language.value) })}
        </p>
      )}
      {!items && list.isLoading && <MediaSkeletons count={4} />}
      {items?.length === 0 && (
        <div class="empty">
          <h2>{v('points.empty')}</h2>
          <p>{v('points.emptyHint')}</p>
        </div>
      )}
      {items && items.length > 0 && (
        <div aria-busy={list.isLoading}>
          <table class="ledger" data-testid="ledger">
            <thead>
              <tr>
                <th scope="col">{v('points.what')}</th>
                <th scope="col">{v('points.date')}</th>
                <th scope="col" class="figure">
                  {v('points.change')}
                </th>
                <th scope="col" class="figure after">
                  {v('points.after')}
                </th>
              </tr>
            </thead>
            <tbody>
              {items.map((entry) => (
                <tr key={entry.number}>
                  <td>
                    <What entry={entry} title={titles.get(entry.video_id ?? '')} />
                  </td>
                  <td class="when">{formatSince(entry.created_at, language.value)}</td>
                  <td class={entry.points < 0 ? 'figure loss' : 'figure gain'}>
                    {formatSigned(entry.points, language.value)}
                  </td>
                  <td class="figure after">{formatNumber(entry.balance, language.value)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <MoreButton list={list} />
    </div>
  );
}

const keyOf = (entry: PointEntry): string => String(entry.number);

function What({ entry, title }: { entry: PointEntry; title: string | undefined }) {
  if (entry.kind === 'adjustment') return <>{entry.reason}</>;
  if (!title) return <>{v('points.view')}</>;
  return <a href={`/videos/${encodeURIComponent(entry.video_id ?? '')}`}>{v('points.viewOf', { title })}</a>;
}
