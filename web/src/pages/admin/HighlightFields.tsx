import { useEffect, useId, useRef, useState } from 'preact/hooks';
import type { Highlight } from '../../api/discovery';
import { addHighlight, editHighlight } from '../../api/films';
import { ErrorMessage } from '../../components/ErrorMessage';
import { TextField } from '../../components/TextField';
import { t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { useMutation } from '../../lib/mutation';
import { shownPosition } from '../../player/jump';
import { Problem } from './forms';
import { draftOf, EMPTY, type FormProblem, formOf, type HighlightForm, timeText } from './highlightForm';

interface Props {
  videoId: string;
  /** The one that is changed; null for a new one. */
  edited: Highlight | null;
  categories: readonly string[];
  onCancel: () => void;
  onDone: (text: string) => void;
}

/** The form of a highlight. It lies on the page, as a dialog would cover the film. */
export function HighlightFields({ videoId, edited, categories, onCancel, onDone }: Props) {
  const [form, setForm] = useState<HighlightForm>(() => (edited ? formOf(edited) : EMPTY));
  const [wrong, setWrong] = useState<FormProblem | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const { busy, problem, run } = useMutation();
  const categoryId = useId();
  const set = (name: keyof HighlightForm) => (value: string) => setForm({ ...form, [name]: value });
  useEffect(() => {
    if (edited) heading.current?.focus();
  }, [edited]);
  const save = async () => {
    const draft = draftOf(form, edited);
    setWrong(typeof draft === 'string' ? draft : null);
    if (typeof draft === 'string') return;
    const change = () => (edited ? editHighlight(edited.id, draft) : addHighlight(videoId, draft));
    if (await run(change)) onDone(ta(edited ? 'highlights.saved' : 'highlights.added'));
  };
  const timeField = (name: 'start' | 'end') => (
    <div class="time-field">
      <TextField
        label={ta(`highlights.${name}`)}
        hint={ta('highlights.timeHint')}
        value={form[name]}
        maxLength={16}
        required
        autocomplete="off"
        testId={`highlight-${name}`}
        onInput={set(name)}
      />
      <button
        type="button"
        class="button button-small"
        aria-label={ta('highlights.fromPlayhead', { field: ta(`highlights.${name}`) })}
        data-testid={`take-${name}`}
        onClick={() => {
          const position = shownPosition();
          if (position !== null) set(name)(timeText(position));
        }}
      >
        {ta('highlights.playhead')}
      </button>
    </div>
  );
  return (
    <form
      class="dialog-form"
      data-testid="highlight-form"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <h2 ref={heading} tabIndex={-1}>
        {ta(edited ? 'highlights.change' : 'highlights.new')}
      </h2>
      <div class="field-pair">
        {timeField('start')}
        {timeField('end')}
      </div>
      <TextField
        label={ta('highlights.name')}
        value={form.title}
        maxLength={200}
        autocomplete="off"
        testId="highlight-title"
        onInput={set('title')}
      />
      <div class="field-pair">
        <div class="field">
          <label for={categoryId}>{ta('highlights.category')}</label>
          <div class="field-control">
            <input
              id={categoryId}
              name="category"
              value={form.category}
              maxLength={50}
              autocomplete="off"
              list={`${categoryId}-list`}
              data-testid="highlight-category"
              onInput={(event) => set('category')(event.currentTarget.value)}
            />
          </div>
          <datalist id={`${categoryId}-list`}>
            {categories.map((category) => (
              <option key={category} value={category} />
            ))}
          </datalist>
        </div>
        <TextField
          label={ta('highlights.pot')}
          value={form.pot}
          maxLength={20}
          autocomplete="off"
          testId="highlight-pot"
          onInput={set('pot')}
        />
      </div>
      <TextField
        label={ta('highlights.players')}
        hint={ta('highlights.playersHint')}
        value={form.players}
        maxLength={1000}
        autocomplete="off"
        testId="highlight-players"
        onInput={set('players')}
      />
      {wrong && (
        <div data-testid="highlight-wrong">
          <ErrorMessage error={ta(wrong)} />
        </div>
      )}
      <Problem error={problem} />
      <div class="dialog-buttons">
        {edited && (
          <button type="button" class="button" onClick={onCancel}>
            {t('common.cancel')}
          </button>
        )}
        <button type="submit" class="button button-primary" disabled={busy} data-testid="save-highlight">
          {edited ? t('common.save') : ta('highlights.add')}
        </button>
      </div>
    </form>
  );
}
