import { useId, useState } from 'preact/hooks';
import type { Highlight } from '../../api/discovery';
import { type HighlightDraft, highlightsCsvAddress, replaceHighlights } from '../../api/films';
import { ErrorMessage } from '../../components/ErrorMessage';
import { FormDialog } from '../../components/FormDialog';
import { ta } from '../../i18n/admin';
import { draftsOfJson, jsonOf } from './highlightForm';

interface Props {
  videoId: string;
  items: readonly Highlight[];
  onDone: (text: string) => void;
}

/** All highlights of a film as a file, and from one. */
export function HighlightFiles({ videoId, items, onDone }: Props) {
  const [isAsking, setAsking] = useState(false);
  return (
    <div class="highlight-files">
      <a
        class="button"
        href={highlightsCsvAddress(videoId)}
        download="highlights.csv"
        data-testid="highlights-csv"
      >
        {ta('highlights.csv')}
      </a>
      <button
        type="button"
        class="button"
        data-testid="highlights-json"
        onClick={() => saveFile(jsonOf(items), 'highlights.json')}
      >
        {ta('highlights.json')}
      </button>
      <button type="button" class="button" data-testid="replace-highlights" onClick={() => setAsking(true)}>
        {ta('highlights.upload')}
      </button>
      {isAsking && (
        <ReplaceDialog
          videoId={videoId}
          onClose={() => setAsking(false)}
          onDone={(count) => {
            setAsking(false);
            onDone(ta('highlights.replaced', { count }));
          }}
        />
      )}
    </div>
  );
}

interface ReplaceProps {
  videoId: string;
  onDone: (count: number) => void;
  onClose: () => void;
}

function ReplaceDialog({ videoId, onDone, onClose }: ReplaceProps) {
  /** Undefined before a file was chosen; null for one that can't be read. */
  const [items, setItems] = useState<HighlightDraft[] | string | null>();
  const id = useId();
  const read = async (file: File | undefined) => {
    const text = await file?.text();
    // Spreadsheets name the type of CSV files in several ways; a JSON text begins with a bracket.
    setItems(text && /^\s*[[{]/.test(text) ? draftsOfJson(text) : text);
  };
  const replace = async () => {
    if (items) onDone((await replaceHighlights(videoId, items)).items.length);
  };
  return (
    <FormDialog
      title={ta('highlights.upload')}
      submit={ta('highlights.replace')}
      danger
      disabled={!items}
      onSubmit={replace}
      onDone={() => undefined}
      onClose={onClose}
    >
      <p>{ta('highlights.replaceText')}</p>
      <div class="field">
        <label for={id}>{ta('highlights.file')}</label>
        <input
          id={id}
          type="file"
          accept=".csv,.json,text/csv,application/json"
          data-testid="highlights-file"
          onChange={(event) => void read(event.currentTarget.files?.[0])}
        />
      </div>
      {items === null && <ErrorMessage error={ta('highlights.badFile')} />}
    </FormDialog>
  );
}

function saveFile(text: string, name: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
