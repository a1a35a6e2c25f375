import { errorText } from '../../api/errors';
import { language } from '../../i18n';
import { formatBytes, formatMoment } from '../../lib/format';
import type { Verdict } from './clock';
import type { Progress } from './downloadPlan';
import type { Activity } from './downloads';
import type { StoredFilm } from './licences';
import { o } from './texts';
import type { Trouble } from './trouble';

/** Returns how far a download is in whole percents, rounded down: 100 is all of it. */
export function percentOf({ bytes, totalBytes }: Progress): number {
  return totalBytes > 0 ? Math.floor((100 * bytes) / totalBytes) : 0;
}

/** Returns what the viewer reads about a film: what happens to it now, or what is there of it. */
export function statusText(film: StoredFilm | null, activity: Activity | null): string | null {
  switch (activity?.phase) {
    case 'checking':
      return o('offline.checking');
    case 'preparing':
      return o('offline.preparing');
    case 'queued':
      return o('offline.queued');
    case 'loading': {
      const { progress, isWaiting } = activity;
      return o(isWaiting ? 'offline.waiting' : 'offline.loading', wordsOf(progress));
    }
    case 'failed':
      return troubleText(activity.why);
  }
  if (!film) return null;
  return o(film.state === 'complete' ? 'offline.complete' : 'offline.paused', wordsOf(film.progress));
}

/** Returns until when a film can be watched, or why it can't. */
export function termText(film: StoredFilm, verdict: Verdict): string {
  if (film.isEnded) return o('offline.expiredAnew');
  if (verdict === 'expired') return o('offline.expired');
  if (verdict === 'clock-turned-back') return o('offline.clock');
  return o('offline.until', { date: formatMoment(film.licence.expires_at, language.value) });
}

export function troubleText(why: Trouble): string {
  switch (why.kind) {
    case 'self-test':
      return `${o('offline.wrongBrowser')} ${o(`selfTest.${why.step}`)}`;
    case 'error':
      return errorText(why.error);
    case 'room':
      return o('offline.room', { size: formatBytes(why.lackingBytes) });
    case 'key':
      return o(why.fault === 'wrong-scope' ? 'offline.scope' : 'offline.key');
    default:
      return o(`offline.${why.kind}`);
  }
}

function wordsOf(progress: Progress) {
  return { percent: percentOf(progress), size: formatBytes(progress.totalBytes) };
}
