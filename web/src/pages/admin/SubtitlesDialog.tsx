import { useId, useState } from 'preact/hooks';
import type { Content } from '../../api/admin';
import { listSubtitles } from '../../api/endpoints';
import { deleteSubtitles, putSubtitles, subtitleTypeOf } from '../../api/films';
import type { SubtitleTrack } from '../../api/types';
import { Dialog } from '../../components/Dialog';
import { ErrorMessage } from '../../components/ErrorMessage';
import { TextField } from '../../components/TextField';
import { language, t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { useLoad } from '../../lib/hooks';
import { useMutation } from '../../lib/mutation';
import { subtitlesLabel } from '../../player/subtitles';
import { CheckField, Problem } from './forms';

interface Props {
  content: Content;
  onClose: () => void;
}

/** The subtitles of a film: what there is, and files to add. */
export function SubtitlesDialog({ content, onClose }: Props) {
  const { id, title } = content;
  const [loaded, reload] = useLoad((signal) => listSubtitles(id, signal), [id]);
  const [said, setSaid] = useState('');
  const { busy, problem, run } = useMutation();
  const nameOf = (track: SubtitleTrack) => subtitlesLabel(track, language.value);
  const remove = async (track: SubtitleTrack) => {
    if (!(await run(() => deleteSubtitles(id, track.track)))) return;
    setSaid(ta('subtitles.removed', { name: nameOf(track) }));
    reload();
  };
  return (
    <Dialog title={ta('subtitles.of', { title })} onClose={onClose} testId="subtitles-dialog">
      {loaded.phase === 'failed' && !loaded.data && (
        <ErrorMessage error={loaded.error} onRetry={reload} retries />
      )}
      {loaded.data?.length === 0 && <p class="quiet">{ta('subtitles.none')}</p>}
      <ul class="subtitle-list">
        {loaded.data?.map((track) => (
          <li key={track.track} data-testid="subtitle-track">
            <span>{nameOf(track)}</span>
            <button
              type="button"
              class="button button-small button-danger"
              disabled={busy}
              aria-label={ta('subtitles.removeOf', { name: nameOf(track) })}
              onClick={() => void remove(track)}
            >
              {ta('subtitles.remove')}
            </button>
          </li>
        ))}
      </ul>
      <p role="status" class="quiet" data-testid="subtitles-status">
        {said}
      </p>
      <Problem error={problem} />
      <AddForm
        videoId={id}
        onDone={(track) => {
          setSaid(ta('subtitles.added', { name: nameOf(track) }));
          reload();
        }}
        onClose={onClose}
      />
    </Dialog>
  );
}

const LANGUAGE = '[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*';

interface AddProps {
  videoId: string;
  onDone: (track: SubtitleTrack) => void;
  onClose: () => void;
}

function AddForm({ videoId, onDone, onClose }: AddProps) {
  const [tag, setTag] = useState('');
  const [file, setFile] = useState<File | null>(null);
  const [flags, setFlags] = useState({ forced: false, sdh: false });
  const { busy, problem, run } = useMutation();
  const id = useId();
  const isWrong = file !== null && subtitleTypeOf(file.name) === undefined;
  const add = async () => {
    if (!file) return;
    await run(async () => onDone(await putSubtitles(videoId, { language: tag.trim(), file, ...flags })));
  };
  return (
    <form
      class="dialog-form"
      data-testid="subtitles-form"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <TextField
        label={ta('subtitles.language')}
        hint={ta('subtitles.languageHint')}
        value={tag}
        maxLength={35}
        pattern={LANGUAGE}
        required
        autocomplete="off"
        testId="subtitles-language"
        onInput={setTag}
      />
      <div class="field">
        <label for={id}>{ta('subtitles.file')}</label>
        <input
          id={id}
          type="file"
          accept=".vtt,.srt,.ass,.ssa"
          data-testid="subtitles-file"
          onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)}
        />
      </div>
      {isWrong && <ErrorMessage error={ta('subtitles.badFile')} />}
      {(['forced', 'sdh'] as const).map((name) => (
        <CheckField
          key={name}
          name={name}
          label={ta(`subtitles.${name}`)}
          checked={flags[name]}
          onChange={(checked) => setFlags({ ...flags, [name]: checked })}
        />
      ))}
      <Problem error={problem} />
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={onClose}>
          {t('common.close')}
        </button>
        <button
          type="submit"
          class="button button-primary"
          disabled={busy || !file || isWrong || tag.trim() === ''}
          data-testid="add-subtitles"
        >
          {ta('subtitles.add')}
        </button>
      </div>
    </form>
  );
}
