import { useState } from 'preact/hooks';
import {
  type DeadLetter,
  getDeadLetter,
  listDeadLetters,
  replayDeadLetter,
  replayQueue,
} from '../../api/admin';
import { isMissing } from '../../api/errors';
import { ConfirmDialog } from '../../components/ConfirmDialog';
import { DataTable } from '../../components/DataTable';
import { Dialog } from '../../components/Dialog';
import { ErrorMessage } from '../../components/ErrorMessage';
import { language, t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatSince } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { useListState } from '../../lib/listState';
import { useMutation } from '../../lib/mutation';
import { Problem } from './forms';
import { AdminHead, Filters, ListStates, Notice } from './parts';

const SHAPE = { subscription: '', letter: '' } as const;

/** Events that a subscription gave up on. */
export function DeadLettersPage() {
  const { state, href, show } = useListState('/admin/dead-letters', SHAPE);
  const [loaded, reload] = useLoad(
    (signal) => listDeadLetters(state.subscription, { signal }),
    [state.subscription],
  );
  const [said, setSaid] = useState<string | null>(null);
  const [isQueueAsked, setQueueAsked] = useState(false);
  const { busy, problem, run } = useMutation();
  const letters = loaded.data?.items;
  const queues = [...new Set(letters?.map(({ subscription }) => subscription))].sort();
  const replay = async (letter: DeadLetter) => {
    if (await run(() => replayDeadLetter(letter.id))) {
      setSaid(ta('deadLetters.replayed', { count: 1 }));
      reload();
    }
  };
  return (
    <>
      <AdminHead title={ta('nav.deadLetters')} count={letters ? String(letters.length) : ''}>
        <button type="button" class="button" onClick={reload}>
          {ta('list.refresh')}
        </button>
        {state.subscription && letters && letters.length > 0 && (
          <button
            type="button"
            class="button button-primary"
            data-testid="replay-queue"
            onClick={() => setQueueAsked(true)}
          >
            {ta('deadLetters.replayAll')}
          </button>
        )}
      </AdminHead>
      <p class="lead">{ta('deadLetters.intro')}</p>
      <Filters
        state={state}
        onChange={(change) => show(change as Partial<typeof state>)}
        fields={[{ name: 'subscription', label: ta('deadLetters.queue'), suggestions: queues }]}
      />
      <Notice text={said} />
      <Problem error={problem} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={letters?.length === 0}
        isFiltered={state.subscription !== ''}
        empty={ta('deadLetters.empty')}
      >
        <DataTable
          caption={ta('nav.deadLetters')}
          rows={letters}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'type',
              label: ta('deadLetters.type'),
              cell: ({ id, type }) => <a href={href({ letter: id })}>{type}</a>,
            },
            { key: 'queue', label: ta('deadLetters.queue'), cell: ({ subscription }) => subscription },
            {
              key: 'reason',
              label: ta('deadLetters.reason'),
              class: 'long-cell',
              cell: ({ reason }) => (
                <span class="clamped" title={reason}>
                  {reason}
                </span>
              ),
            },
            {
              key: 'attempts',
              label: ta('deadLetters.attempts'),
              class: 'figure',
              cell: ({ attempts }) => attempts,
            },
            {
              key: 'died',
              label: ta('deadLetters.died'),
              class: 'figure',
              cell: ({ died_at: at }) => formatSince(at, language.value),
            },
          ]}
          actionsLabel={ta('list.actions')}
          actions={(letter) => (
            <button
              type="button"
              class="button button-small"
              disabled={busy}
              aria-label={ta('deadLetters.replayOf', { type: letter.type, queue: letter.subscription })}
              data-testid="replay-letter"
              onClick={() => void replay(letter)}
            >
              {ta('deadLetters.replay')}
            </button>
          )}
          testId="dead-letters-table"
        />
      </ListStates>
      {state.letter && (
        <LetterDialog key={state.letter} id={state.letter} onClose={() => show({ letter: '' })} />
      )}
      {isQueueAsked && (
        <ConfirmDialog
          title={ta('deadLetters.replayAll')}
          text={ta('deadLetters.replayAllText', { queue: state.subscription })}
          submit={ta('deadLetters.replay')}
          onSubmit={async () => {
            const { replayed } = await replayQueue(state.subscription);
            setSaid(ta('deadLetters.replayed', { count: replayed }));
          }}
          onDone={() => {
            setQueueAsked(false);
            reload();
          }}
          onClose={() => setQueueAsked(false)}
        />
      )}
    </>
  );
}

/** Shows one dead letter with its message. */
function LetterDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const [loaded, reload] = useLoad((signal) => getDeadLetter(id, { signal }), [id]);
  const letter = loaded.data;
  const facts: [string, string][] = letter
    ? [
        [ta('deadLetters.queue'), letter.subscription],
        [ta('deadLetters.source'), letter.source],
        [ta('deadLetters.subject'), letter.subject],
        [ta('deadLetters.attempts'), String(letter.attempts)],
        [ta('deadLetters.occurred'), formatSince(letter.occurred_at, language.value)],
        [ta('deadLetters.died'), formatSince(letter.died_at, language.value)],
        [ta('deadLetters.request'), letter.request_id || '–'],
      ]
    : [];
  return (
    <Dialog title={letter?.type ?? ta('deadLetters.letter')} onClose={onClose} wide testId="letter-dialog">
      {loaded.phase === 'failed' && (
        <ErrorMessage
          error={isMissing(loaded.error) ? ta('deadLetters.gone') : loaded.error}
          onRetry={reload}
        />
      )}
      {letter && (
        <>
          <p class="letter-reason">{letter.reason}</p>
          <dl class="facts letter-facts">
            {facts.map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
          <h3>{ta('deadLetters.body')}</h3>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
          <pre class="letter-body" tabIndex={0}>
            {pretty(letter.body)}
          </pre>
        </>
      )}
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={onClose}>
          {t('common.close')}
        </button>
      </div>
    </Dialog>
  );
}

/** Indents JSON; anything else stays as it is. */
function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
