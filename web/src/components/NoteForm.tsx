import { useEffect, useRef, useState } from 'preact/hooks';
import { type Bookmark, editBookmark } from '../api/me';
import { t } from '../i18n';
import { v } from '../i18n/viewer';
import { formatClock } from '../lib/format';
import { ErrorMessage } from './ErrorMessage';

const MAX_NOTE_CHARS = 1000;

interface Props {
  bookmark: Bookmark;
  onSaved: (bookmark: Bookmark) => void;
  onCancel: () => void;
}

/** Edits the note of a bookmark; Escape leaves it as it was. */
export function NoteForm({ bookmark, onSaved, onCancel }: Props) {
  const [note, setNote] = useState(bookmark.note);
  const input = useRef<HTMLInputElement>(null);
  // `autofocus` does nothing while something else has the focus.
  useEffect(() => input.current?.focus(), []);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      onSaved({ ...bookmark, note: (await editBookmark(bookmark.id, note.trim())).note });
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

  return (
    <form
      class="note-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isBusy) void save();
      }}
    >
      <input
        ref={input}
        type="text"
        value={note}
        maxLength={MAX_NOTE_CHARS}
        placeholder={v('bookmarks.note')}
        aria-label={v('bookmarks.noteOf', { time: formatClock(bookmark.position_sec) })}
        data-testid="bookmark-note"
        onInput={(event) => setNote(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape' && !event.isComposing) onCancel();
        }}
      />
      <button type="submit" class="button" aria-disabled={isBusy}>
        {t('common.save')}
      </button>
      {error !== null && <ErrorMessage error={error} />}
    </form>
  );
}
