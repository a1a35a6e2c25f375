import { useState } from 'preact/hooks';
import {
  type Corporation,
  createCorporation,
  deleteCorporation,
  listCorporations,
  renameCorporation,
  setPlan,
} from '../../api/admin';
import { ConfirmDialog } from '../../components/ConfirmDialog';
import { DataTable } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/TextField';
import { language, t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatDate } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { dayOf, pageNumber, startOfDay, useListState } from '../../lib/listState';
import { InputField, SelectField } from './forms';
import { AdminHead, Filters, ListPages, ListStates, Notice, totalText } from './parts';

const SHAPE = { query: '', page: '1', cursor: '' } as const;

type Asked = { kind: 'new' } | { kind: 'rename' | 'plan' | 'delete'; corporation: Corporation } | null;

/** Corporations and their plans. */
export function CorporationsPage() {
  const { state, href, show } = useListState('/admin/corporations', SHAPE);
  const [loaded, reload] = useLoad(
    (signal) => listCorporations(state.query, pageNumber(state.page), { signal }),
    [state.query, state.page],
  );
  const [asked, setAsked] = useState<Asked>(null);
  const [said, setSaid] = useState<string | null>(null);
  const done = (text: string) => {
    setAsked(null);
    setSaid(text);
    reload();
  };
  const action = (kind: 'rename' | 'plan' | 'delete', corporation: Corporation) => (
    <button
      type="button"
      class={kind === 'delete' ? 'button button-small button-danger' : 'button button-small'}
      aria-label={ta(`corporations.${kind}Of`, { name: corporation.name })}
      data-testid={`${kind}-corporation`}
      onClick={() => setAsked({ kind, corporation })}
    >
      {ta(`corporations.${kind}`)}
    </button>
  );
  return (
    <>
      <AdminHead title={ta('nav.corporations')} count={totalText(loaded.data)}>
        <button
          type="button"
          class="button button-primary"
          data-testid="new-corporation"
          onClick={() => setAsked({ kind: 'new' })}
        >
          {ta('corporations.new')}
        </button>
      </AdminHead>
      <Filters
        state={state}
        onChange={(change) => show(change as Partial<typeof state>)}
        fields={[{ name: 'query', label: ta('corporations.search') }]}
      />
      <Notice text={said} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        isFiltered={state.query !== ''}
        empty={ta('corporations.empty')}
      >
        <DataTable
          caption={ta('nav.corporations')}
          rows={loaded.data?.items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            { key: 'name', label: ta('corporations.name'), cell: ({ name }) => <strong>{name}</strong> },
            {
              key: 'plan',
              label: ta('corporations.plan'),
              cell: ({ plan }) => (
                <span class={plan === 'paid' ? 'chip chip-active' : 'chip'}>{ta(`plan.${plan}`)}</span>
              ),
            },
            { key: 'until', label: ta('corporations.until'), class: 'figure', cell: untilText },
            {
              key: 'created',
              label: ta('corporations.created'),
              class: 'figure',
              cell: ({ created_at: at }) => formatDate(at, language.value),
            },
            {
              key: 'links',
              label: ta('list.see'),
              cell: ({ id, name }) => (
                <span class="row-links">
                  <a
                    href={`/admin/users?corporation_id=${id}`}
                    aria-label={ta('corporations.membersOf', { name })}
                  >
                    {ta('corporations.members')}
                  </a>
                  <a
                    href={`/admin/contents?corporation_id=${id}`}
                    aria-label={ta('corporations.contentsOf', { name })}
                  >
                    {ta('nav.contents')}
                  </a>
                </span>
              ),
            },
          ]}
          actionsLabel={ta('list.actions')}
          actions={(corporation) => (
            <span class="row-actions">
              {action('plan', corporation)}
              {action('rename', corporation)}
              {action('delete', corporation)}
            </span>
          )}
          testId="corporations-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
      <CorporationDialog asked={asked} onDone={done} onClose={() => setAsked(null)} />
    </>
  );
}

/** When a paid plan ends; the last day, because it ends at midnight. */
function untilText({ plan, plan_expires_at: end }: Corporation): string {
  if (plan === 'free') return '–';
  if (end === null) return ta('corporations.noEnd');
  return formatDate(new Date(new Date(end).getTime() - 1).toISOString(), language.value);
}

interface DialogProps {
  asked: Asked;
  onDone: (text: string) => void;
  onClose: () => void;
}

function CorporationDialog({ asked, onDone, onClose }: DialogProps) {
  if (asked === null) return null;
  if (asked.kind === 'new') {
    return (
      <NameDialog
        title={ta('corporations.new')}
        submit={ta('corporations.create')}
        save={createCorporation}
        onDone={(name) => onDone(ta('corporations.made', { name }))}
        onClose={onClose}
      />
    );
  }
  const { corporation } = asked;
  const { id, name } = corporation;
  switch (asked.kind) {
    case 'rename':
      return (
        <NameDialog
          title={ta('corporations.renameOf', { name })}
          submit={t('common.save')}
          name={name}
          save={(next) => renameCorporation(id, next)}
          onDone={(next) => onDone(ta('corporations.changed', { name: next }))}
          onClose={onClose}
        />
      );
    case 'plan':
      return (
        <PlanDialog
          corporation={corporation}
          onDone={() => onDone(ta('corporations.changed', { name }))}
          onClose={onClose}
        />
      );
    case 'delete':
      return (
        <ConfirmDialog
          title={ta('corporations.deleteOf', { name })}
          text={ta('corporations.deleteText')}
          submit={ta('corporations.delete')}
          danger
          onSubmit={() => deleteCorporation(id)}
          onDone={() => onDone(ta('corporations.deleted', { name }))}
          onClose={onClose}
        />
      );
  }
}

interface NameProps {
  title: string;
  submit: string;
  name?: string;
  save: (name: string) => Promise<unknown>;
  onDone: (name: string) => void;
  onClose: () => void;
}

function NameDialog({ title, submit, name = '', save, onDone, onClose }: NameProps) {
  const [value, setValue] = useState(name);
  return (
    <FormDialog
      title={title}
      submit={submit}
      disabled={value.trim() === ''}
      onSubmit={() => save(value.trim())}
      onDone={() => onDone(value.trim())}
      onClose={onClose}
    >
      <TextField
        label={ta('corporations.name')}
        value={value}
        maxLength={100}
        required
        testId="corporation-name"
        onInput={setValue}
      />
    </FormDialog>
  );
}

interface PlanProps {
  corporation: Corporation;
  onDone: () => void;
  onClose: () => void;
}

function PlanDialog({ corporation, onDone, onClose }: PlanProps) {
  const [plan, choose] = useState<string>(corporation.plan);
  const [lastDay, setLastDay] = useState(dayOf(corporation.plan_expires_at, -1));
  const isPaid = plan === 'paid';
  return (
    <FormDialog
      title={ta('corporations.planOf', { name: corporation.name })}
      submit={t('common.save')}
      onSubmit={() =>
        setPlan(corporation.id, plan as Corporation['plan'], isPaid ? startOfDay(lastDay, 1) || null : null)
      }
      onDone={onDone}
      onClose={onClose}
    >
      <SelectField
        label={ta('corporations.plan')}
        name="plan"
        value={plan}
        options={[
          ['free', ta('plan.free')],
          ['paid', ta('plan.paid')],
        ]}
        hint={ta('corporations.planHint')}
        onChange={choose}
      />
      {isPaid && (
        <InputField
          label={ta('corporations.lastDay')}
          name="last-day"
          type="date"
          value={lastDay}
          onInput={setLastDay}
        />
      )}
    </FormDialog>
  );
}
