import { useState } from 'preact/hooks';
import { type Content, editContent, listSeries } from '../../api/admin';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/TextField';
import { t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { useLoad } from '../../lib/hooks';
import { corporationOptions } from './BulkBar';
import { type ContentForm, editOf, formOf } from './contentEdit';
import { InputField, SelectField } from './forms';

interface Props {
  content: Content;
  corporations: readonly { id: string; name: string }[];
  onDone: () => void;
  onClose: () => void;
}

/** Edits the labels of a video. */
export function EditContentDialog({ content, corporations, onDone, onClose }: Props) {
  const [form, setForm] = useState<ContentForm>(() => formOf(content));
  const [series] = useLoad((signal) => listSeries({ signal }), []);
  const set = (name: keyof ContentForm) => (value: string) => setForm({ ...form, [name]: value });
  const save = async () => {
    const edit = editOf(content, form);
    if (Object.keys(edit).length > 0) await editContent(content.id, edit);
  };
  const offered = series.data?.items.map(({ id, title }) => [id, title] as const) ?? [];
  return (
    <FormDialog
      title={ta('contents.editTitle')}
      submit={t('common.save')}
      disabled={form.title.trim() === ''}
      onSubmit={save}
      onDone={onDone}
      onClose={onClose}
      testId="edit-dialog"
    >
      <TextField
        label={ta('contents.title')}
        value={form.title}
        maxLength={200}
        required
        testId="edit-title"
        onInput={set('title')}
      />
      <InputField
        label={ta('contents.description')}
        name="description"
        value={form.description}
        rows={4}
        maxLength={5000}
        onInput={set('description')}
      />
      <TextField
        label={ta('contents.tags')}
        value={form.tags}
        hint={ta('contents.tagsHint')}
        testId="edit-tags"
        onInput={set('tags')}
      />
      <SelectField
        label={ta('contents.corporation')}
        name="corporation"
        value={form.corporation}
        options={withCurrent(
          corporationOptions(corporations),
          form.corporation,
          ta('contents.otherCorporation'),
        )}
        onChange={set('corporation')}
      />
      <SelectField
        label={ta('contents.series')}
        name="series"
        value={form.series}
        options={withCurrent(
          [['', ta('contents.noSeries')], ...offered],
          form.series,
          ta('contents.otherSeries'),
        )}
        onChange={set('series')}
      />
      {form.series !== '' && (
        <div class="field-pair">
          <InputField
            label={ta('contents.season')}
            name="season"
            type="number"
            value={form.season}
            onInput={set('season')}
          />
          <InputField
            label={ta('contents.episode')}
            name="episode"
            type="number"
            value={form.episode}
            onInput={set('episode')}
          />
        </div>
      )}
    </FormDialog>
  );
}

/** Adds what is chosen now, if the list, which is limited, does not have it. */
function withCurrent(
  options: readonly (readonly [string, string])[],
  value: string,
  text: string,
): (readonly [string, string])[] {
  return options.some(([key]) => key === value) ? [...options] : [...options, [value, text]];
}
