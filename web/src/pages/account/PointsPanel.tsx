import type { Ledger } from '../../api/me';
import { ErrorMessage } from '../../components/ErrorMessage';
import { language } from '../../i18n';
import { v } from '../../i18n/viewer';
import { formatNumber } from '../../lib/format';
import type { Loaded } from '../../lib/hooks';

interface Props {
  points: Loaded<Ledger>;
  reload: () => void;
}

/** How many points the viewer has, with the way to their ledger. */
export function PointsPanel({ points, reload }: Props) {
  return (
    <section class="panel" aria-labelledby="own-points" aria-busy={points.phase === 'loading'}>
      <h2 id="own-points">{v('account.points')}</h2>
      {points.phase === 'failed' && <ErrorMessage error={points.error} onRetry={reload} retries />}
      <div class="points-line">
        <strong data-testid="points-balance">
          {points.data
            ? v('points.balance', { points: formatNumber(points.data.balance, language.value) })
            : '–'}
        </strong>
        <a href="/account/points" data-testid="points-link">
          {v('account.pointsLedger')}
        </a>
      </div>
    </section>
  );
}
