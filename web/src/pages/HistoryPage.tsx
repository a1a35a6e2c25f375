import { useRef, useState } from 'preact/hooks';
import { eraseHistory, listHistory } from '../api/me';
import type { HistoryEntry } from '../api/types';
import { ConfirmDialog } from '../components/ConfirmDialog';
import { GrowingPage } from '../components/GrowingPage';
import { Icon } from '../components/Icon';
import { focusAfterRemoval, MediaRow } from '../components/MediaRow';
import { WatchedBar } from '../components/VideoCard';
import { language } from '../i18n';
import { v } from '../i18n/viewer';
import { byDay } from '../lib/days';
import { formatClock, formatNumber } from '../lib/format';
import { useGrowingList } from '../lib/growingList';
import { usePageTitle } from '../lib/hooks';

const titleOf = ({ video }: HistoryEntry): string => video?.title ?? v('list.gone');

/** What the viewer has watched, the last first, by day. */
export default function HistoryPage() {
  usePageTitle(v('history.title'));
  const list = useGrowingList((page, signal) => listHistory(page, { signal }), keyOf);
  const [isClearing, setClearing] = useState(false);
  const [said, setSaid] = useState('');
  const [problem, setProblem] = useState<unknown>(null);
  const root = useRef<HTMLDivElement>(null);

  const remove = async (entry: HistoryEntry, index: number) => {
    setProblem(null);
    try {
      await eraseHistory(entry.video_id);
      setSaid(v('list.removed', { title: titleOf(entry) }));
      focusAfterRemoval(root.current, index);
      list.reload();
    } catch (error) {
      setProblem(error);
    }
  };

  const clear = async () => {
    await eraseHistory();
    setSaid(v('history.cleared'));
    list.reload();
  };

  return (
    <>
      <GrowingPage
        title={v('history.title')}
        list={list}
        root={root}
        said={said}
        problem={problem}
        empty={{ icon: 'film', title: v('history.empty'), hint: v('history.emptyHint') }}
        actions={
          <button type="button" class="button" data-testid="clear-history" onClick={() => setClearing(true)}>
            {v('history.clear')}
          </button>
        }
        testId="history"
      >
        {list.items && <Days entries={list.items} onRemove={remove} />}
      </GrowingPage>
      {isClearing && (
        <ConfirmDialog
          title={v('history.clearTitle')}
          text={v('history.clearText', { count: formatNumber(list.total, language.value) })}
          submit={v('history.clear')}
          danger
          onSubmit={clear}
          onDone={() => setClearing(false)}
          onClose={() => setClearing(false)}
        />
      )}
    </>
  );
}

const keyOf = (entry: HistoryEntry): string => entry.video_id;

interface DaysProps {
  entries: HistoryEntry[];
  onRemove: (entry: HistoryEntry, index: number) => Promise<void>;
}

function Days({ entries, onRemove }: DaysProps) {
  return (
    <>
      {byDay(entries, (entry) => entry.updated_at, language.value).map(({ day, items }) => (
        <section key={day} class="day" aria-label={day}>
          <h2 class="day-title">{day}</h2>
          <ul class="media-list">
            {items.map((entry) => (
              <Line
                key={entry.video_id}
                entry={entry}
                onRemove={() => onRemove(entry, entries.indexOf(entry))}
              />
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

function Line({ entry, onRemove }: { entry: HistoryEntry; onRemove: () => Promise<void> }) {
  const [isBusy, setBusy] = useState(false);
  const label = v('history.remove', { title: titleOf(entry) });
  return (
    <MediaRow
      video={entry.video}
      href={`/watch/${encodeURIComponent(entry.video_id)}`}
      overlay={<WatchedBar percent={entry.progress_percent} completed={entry.completed} />}
      testId="history-entry"
      actions={
        <button
          type="button"
          class="button button-quiet button-icon"
          aria-label={label}
          title={label}
          disabled={isBusy}
          data-testid="history-remove"
          onClick={() => {
            setBusy(true);
            void onRemove().finally(() => setBusy(false));
          }}
        >
          <Icon name="close" size={18} />
        </button>
      }
    >
      <p class="media-meta">
        <span>
          {entry.completed
            ? v('history.completed')
            : v('history.percent', { percent: Math.round(entry.progress_percent) })}
        </span>
        <span>
          {entry.duration > 0
            ? v('history.at', { position: formatClock(entry.position), total: formatClock(entry.duration) })
            : formatClock(entry.position)}
        </span>
      </p>
    </MediaRow>
  );
}
