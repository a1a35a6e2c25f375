import { useRef, useState } from 'preact/hooks';
import { type Bookmark, deleteBookmark, listBookmarks } from '../api/me';
import { GrowingPage } from '../components/GrowingPage';
import { Icon, PlayIcon } from '../components/Icon';
import { focusAfterRemoval, MediaRow } from '../components/MediaRow';
import { NoteForm } from '../components/NoteForm';
import { language } from '../i18n';
import { v } from '../i18n/viewer';
import { formatClock, formatDate } from '../lib/format';
import { useGrowingList } from '../lib/growingList';
import { usePageTitle } from '../lib/hooks';
import { rangeLink } from '../lib/ranges';

/** The moments that the viewer has marked in all films, the last marked first. */
export default function BookmarksPage() {
  usePageTitle(v('bookmarks.title'));
  const list = useGrowingList((page, signal) => listBookmarks(page, { signal }), keyOf);
  const [said, setSaid] = useState('');
  const [problem, setProblem] = useState<unknown>(null);
  const root = useRef<HTMLDivElement>(null);

  const remove = async (bookmark: Bookmark, index: number) => {
    setProblem(null);
    try {
      await deleteBookmark(bookmark.id);
      setSaid(v('bookmarks.removed'));
      focusAfterRemoval(root.current, index);
      list.reload();
    } catch (error) {
      setProblem(error);
    }
  };

  return (
    <GrowingPage
      title={v('bookmarks.title')}
      list={list}
      root={root}
      said={said}
      problem={problem}
      empty={{ icon: 'bookmark', title: v('bookmarks.empty'), hint: v('bookmarks.emptyHint') }}
      testId="bookmarks"
    >
      <ul class="media-list">
        {list.items?.map((bookmark, index) => (
          <Line
            key={bookmark.id}
            bookmark={bookmark}
            onRemove={() => remove(bookmark, index)}
            onSaved={() => {
              setSaid(v('bookmarks.saved'));
              list.reload();
            }}
          />
        ))}
      </ul>
    </GrowingPage>
  );
}

const keyOf = (bookmark: Bookmark): string => bookmark.id;

interface LineProps {
  bookmark: Bookmark;
  onRemove: () => Promise<void>;
  onSaved: () => void;
}

function Line({ bookmark, onRemove, onSaved }: LineProps) {
  const [isEditing, setEditing] = useState(false);
  const pencil = useRef<HTMLButtonElement>(null);
  const time = formatClock(bookmark.position_sec);
  const words = { time, title: bookmark.video?.title ?? v('list.gone') };
  const stopEditing = () => {
    setEditing(false);
    pencil.current?.focus();
  };
  return (
    <MediaRow
      video={bookmark.video}
      href={rangeLink(bookmark.video_id, bookmark.position_sec)}
      heading="h2"
      testId="bookmark"
      actions={
        <>
          <button
            type="button"
            class="button button-quiet button-icon"
            ref={pencil}
            aria-label={v('bookmarks.edit', words)}
            title={v('bookmarks.edit', words)}
            aria-expanded={isEditing}
            data-testid="bookmark-edit"
            onClick={() => setEditing(!isEditing)}
          >
            <Icon name="pencil" size={18} />
          </button>
          <button
            type="button"
            class="button button-quiet button-icon"
            aria-label={v('bookmarks.remove', words)}
            title={v('bookmarks.remove', words)}
            data-testid="bookmark-remove"
            onClick={() => void onRemove()}
          >
            <Icon name="close" size={18} />
          </button>
        </>
      }
    >
      <p class="media-meta">
        {bookmark.video && (
          <a
            class="jump"
            href={rangeLink(bookmark.video_id, bookmark.position_sec)}
            data-testid="bookmark-jump"
          >
            <PlayIcon size={14} /> {v('bookmarks.jump', { time })}
          </a>
        )}
        <span>{formatDate(bookmark.created_at, language.value)}</span>
      </p>
      {isEditing ? (
        <NoteForm
          bookmark={bookmark}
          onCancel={stopEditing}
          onSaved={() => {
            stopEditing();
            onSaved();
          }}
        />
      ) : (
        bookmark.note && <p class="film-note">{bookmark.note}</p>
      )}
    </MediaRow>
  );
}
