import { useRef, useState } from 'preact/hooks';
import { addBookmark, type Bookmark, deleteBookmark, listBookmarksOf } from '../../api/me';
import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon, PlayIcon } from '../../components/Icon';
import { NoteForm } from '../../components/NoteForm';
import { v } from '../../i18n/viewer';
import { withBookmark } from '../../lib/bookmarks';
import { formatClock } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { rangeLink } from '../../lib/ranges';
import { playFrom, shownPosition } from '../../player/jump';
import '../../styles/library.css';

/** Marks the present moment of the film, and lists the marks with links to them. */
export function FilmBookmarks({ videoId }: { videoId: string }) {
  const [loaded] = useLoad((signal) => listBookmarksOf(videoId, { signal }), [videoId]);
  const [changed, setChanged] = useState<Bookmark[] | null>(null);
  const [editing, setEditing] = useState<string | null>(null);
  const [said, setSaid] = useState('');
  const [error, setError] = useState<unknown>(null);
  const button = useRef<HTMLButtonElement>(null);
  const bookmarks = changed ?? loaded.data?.items ?? [];

  const attempt = async (change: () => Promise<void>) => {
    setError(null);
    try {
      await change();
    } catch (failure) {
      setError(failure);
    }
  };

  const add = () =>
    attempt(async () => {
      const position = shownPosition();
      if (position === null) {
        setSaid(v('bookmarks.notYet'));
        return;
      }
      const added = await addBookmark(videoId, position, '');
      setChanged(withBookmark(bookmarks, added));
      setEditing(added.id);
      setSaid(v('bookmarks.added', { time: formatClock(added.position_sec) }));
    });

  const remove = (bookmark: Bookmark) =>
    attempt(async () => {
      await deleteBookmark(bookmark.id);
      setChanged(bookmarks.filter(({ id }) => id !== bookmark.id));
      setSaid(v('bookmarks.removed'));
      button.current?.focus();
    });

  const stopEditing = () => {
    setEditing(null);
    button.current?.focus();
  };

  return (
    <>
      <button type="button" class="button" ref={button} data-testid="bookmark-add" onClick={() => void add()}>
        <Icon name="bookmark" size={18} /> {v('bookmarks.add')}
      </button>
      <p class="visually-hidden" role="status">
        {said}
      </p>
      {error !== null && <ErrorMessage error={error} />}
      {bookmarks.length > 0 && (
        <ul class="film-bookmarks" aria-label={v('bookmarks.ofFilm')} data-testid="film-bookmarks">
          {bookmarks.map((bookmark) => (
            <li key={bookmark.id}>
              <Jump bookmark={bookmark} />
              {editing === bookmark.id ? (
                <NoteForm
                  bookmark={bookmark}
                  onCancel={stopEditing}
                  onSaved={(saved) => {
                    setChanged(withBookmark(bookmarks, saved));
                    setSaid(v('bookmarks.saved'));
                    stopEditing();
                  }}
                />
              ) : (
                <span class="film-note">{bookmark.note}</span>
              )}
              <RemoveButton bookmark={bookmark} onRemove={remove} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Jump({ bookmark: { video_id, position_sec } }: { bookmark: Bookmark }) {
  const time = formatClock(position_sec);
  return (
    <a
      class="jump"
      href={rangeLink(video_id, position_sec)}
      aria-label={v('bookmarks.jump', { time })}
      onClick={(event) => {
        // With a player on the page there is nothing to load.
        if (playFrom(position_sec)) {
          event.preventDefault();
          event.stopPropagation();
        }
      }}
    >
      <PlayIcon size={14} /> {time}
    </a>
  );
}

interface RemoveProps {
  bookmark: Bookmark;
  onRemove: (bookmark: Bookmark) => Promise<void>;
}

function RemoveButton({ bookmark, onRemove }: RemoveProps) {
  const label = v('bookmarks.remove', {
    time: formatClock(bookmark.position_sec),
    title: bookmark.video?.title ?? '',
  });
  return (
    <button
      type="button"
      class="button button-quiet button-icon"
      aria-label={label}
      title={label}
      data-testid="bookmark-remove"
      onClick={() => void onRemove(bookmark)}
    >
      <Icon name="close" size={16} />
    </button>
  );
}
