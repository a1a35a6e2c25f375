import { useState } from 'preact/hooks';
import { type Content, editContent } from '../../api/admin';
import { deleteVideo, reprocessVideo } from '../../api/endpoints';
import { errorText, isMissing } from '../../api/errors';
import { protectFilm } from '../../api/films';
import { ConfirmDialog } from '../../components/ConfirmDialog';
import { FormDialog } from '../../components/FormDialog';
import { ta } from '../../i18n/admin';
import { type BulkOutcome, runBulk } from '../../lib/bulk';
import { SelectField } from './forms';

interface Props {
  contents: readonly Content[];
  /** How many videos the page shows. */
  all: number;
  corporations: readonly { id: string; name: string }[];
  onSelectAll: () => void;
  onClear: () => void;
  /** Called with what to say, and the ids for which it failed. */
  onDone: (text: string, left: string[]) => void;
}

type Asked = 'delete' | 'move' | 'protect' | null;

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What can be done with the selected videos. */
export function BulkBar({ contents, all, corporations, onSelectAll, onClear, onDone }: Props) {
  const [asked, setAsked] = useState<Asked>(null);
  const [target, setTarget] = useState('');
  const [finished, setFinished] = useState<number | null>(null);
  const [failures, setFailures] = useState<BulkOutcome<Content>['failed']>([]);
  const count = contents.length;

  const run = async (task: (content: Content) => Promise<unknown>) => {
    setFinished(0);
    setFailures([]);
    const outcome = await runBulk(contents, task, { wait, onProgress: setFinished });
    setFinished(null);
    setFailures(outcome.failed);
    onDone(
      ta('bulk.done', { count: outcome.done.length }),
      outcome.failed.map(({ item }) => item.id),
    );
  };

  return (
    <section class="bulk-bar" aria-label={ta('bulk.label')} data-testid="bulk-bar">
      <p role="status">
        {finished === null ? ta('bulk.selected', { count }) : ta('bulk.running', { finished, count })}
      </p>
      <div class="bulk-actions">
        {count < all && (
          <button type="button" class="button button-small" onClick={onSelectAll}>
            {ta('list.selectAll')}
          </button>
        )}
        <button
          type="button"
          class="button button-small"
          disabled={finished !== null}
          data-testid="bulk-move"
          onClick={() => setAsked('move')}
        >
          {ta('bulk.move')}
        </button>
        <button
          type="button"
          class="button button-small"
          disabled={finished !== null}
          data-testid="bulk-reprocess"
          onClick={() => void run(({ id }) => reprocessVideo(id))}
        >
          {ta('bulk.reprocess')}
        </button>
        <button
          type="button"
          class="button button-small"
          disabled={finished !== null}
          data-testid="bulk-protect"
          onClick={() => setAsked('protect')}
        >
          {ta('bulk.protect')}
        </button>
        <a
          class="button button-small"
          href={`/admin/titles?ids=${contents.map(({ id }) => id).join(',')}`}
          data-testid="bulk-titles"
        >
          {ta('bulk.titles')}
        </a>
        <button
          type="button"
          class="button button-small button-danger"
          disabled={finished !== null}
          data-testid="bulk-delete"
          onClick={() => setAsked('delete')}
        >
          {ta('bulk.delete')}
        </button>
        <button
          type="button"
          class="button button-small button-quiet"
          disabled={finished !== null}
          onClick={onClear}
        >
          {ta('bulk.clear')}
        </button>
      </div>
      {failures.length > 0 && (
        <ul class="bulk-failures" role="alert" data-testid="bulk-failures">
          {failures.map(({ item, error }) => (
            <li key={item.id}>
              <strong>{item.title}</strong> {errorText(error)}
            </li>
          ))}
        </ul>
      )}
      {asked === 'delete' && (
        <ConfirmDialog
          title={ta('bulk.deleteTitle', { count })}
          text={ta('bulk.deleteText')}
          submit={ta('bulk.delete')}
          danger
          onSubmit={() => run(({ id }) => deleteVideo(id).catch(unlessMissing))}
          onDone={() => setAsked(null)}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === 'protect' && (
        <ConfirmDialog
          title={ta('bulk.protectTitle', { count })}
          text={ta('protection.protectText')}
          submit={ta('bulk.protect')}
          onSubmit={() => run(({ id }) => protectFilm(id))}
          onDone={() => setAsked(null)}
          onClose={() => setAsked(null)}
        />
      )}
      {asked === 'move' && (
        <FormDialog
          title={ta('bulk.moveTitle', { count })}
          submit={ta('bulk.moveNow')}
          onSubmit={() => run(({ id }) => editContent(id, { corporation_id: target || null }))}
          onDone={() => setAsked(null)}
          onClose={() => setAsked(null)}
        >
          <SelectField
            label={ta('contents.corporation')}
            name="corporation"
            value={target}
            onChange={setTarget}
            options={corporationOptions(corporations)}
          />
        </FormDialog>
      )}
    </section>
  );
}

/** What is gone already need not be deleted. */
function unlessMissing(error: unknown): void {
  if (!isMissing(error)) throw error;
}

/** What a video or an account may belong to. */
export const corporationOptions = (
  corporations: readonly { id: string; name: string }[],
): (readonly [string, string])[] => [
  ['', ta('contents.platform')],
  ...corporations.map(({ id, name }) => [id, name] as const),
];
