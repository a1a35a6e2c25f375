import { useEffect, useRef, useState } from 'preact/hooks';
import { getMoreOfRow, type HomeItem, type HomeRow } from '../../api/discovery';
import { Shelf } from '../../components/Shelf';
import { VideoCard } from '../../components/VideoCard';

/** The rows that the server chose for this viewer. */
export function HomeRows({ rows }: { rows: HomeRow[] }) {
  return (
    <>
      {rows.map((row) => (
        <Row key={`${row.kind} ${row.key}`} row={row} />
      ))}
    </>
  );
}

function Row({ row }: { row: HomeRow }) {
  const [more, setMore] = useState<{ first: HomeRow; items: HomeItem[]; next: string | null } | null>(null);
  const isLoading = useRef(false);
  const isCurrent = more?.first === row;
  const items = isCurrent ? unique([...row.items, ...more.items]) : row.items;
  const next = isCurrent ? more.next : row.next;
  const current = useRef(row);
  useEffect(() => {
    current.current = row;
  }, [row]);

  const loadMore = async (path: string) => {
    if (isLoading.current) return;
    isLoading.current = true;
    try {
      const page = await getMoreOfRow(path);
      if (current.current === row) {
        const before = isCurrent ? more.items : [];
        setMore({ first: row, items: [...before, ...page.items], next: page.next });
      }
    } catch {
      // The row stays as long as it is; scrolling on tries again.
    } finally {
      isLoading.current = false;
    }
  };

  const title =
    row.kind === 'series' ? <a href={`/series/${encodeURIComponent(row.key)}`}>{row.title}</a> : row.title;
  return (
    <Shelf
      id={row.key ? `${row.kind}-${row.key}` : row.kind}
      title={title}
      label={row.title}
      onEnd={next ? () => void loadMore(next) : undefined}
    >
      {items.map((item) => (
        <VideoCard
          key={item.id}
          video={item}
          watched={watched(item)}
          showTimeLeft={row.kind === 'continue_watching'}
        />
      ))}
    </Shelf>
  );
}

/** A film added between two pages shifts a row, so the next page may repeat one. */
function unique(items: HomeItem[]): HomeItem[] {
  return [...new Map(items.map((item) => [item.id, item])).values()];
}

function watched(item: HomeItem) {
  if (item.position_sec === null) return undefined;
  return {
    percent: item.progress_percent ?? 0,
    completed: item.completed ?? false,
    position: item.position_sec,
  };
}
