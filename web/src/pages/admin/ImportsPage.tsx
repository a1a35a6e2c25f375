import { useState } from 'preact/hooks';
import { importFilm, type Job, listJobs, reprocessAll, setJobRunning, startScan } from '../../api/admin';
import { type Column, DataTable } from '../../components/DataTable';
import { FormDialog } from '../../components/FormDialog';
import { TextField } from '../../components/TextField';
import { language } from '../../i18n';
import { adminCodeText, ta } from '../../i18n/admin';
import { formatPercent, formatSince } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, useListState } from '../../lib/listState';
import { useMutation } from '../../lib/mutation';
import { CheckField, Problem } from './forms';
import { JobReport } from './JobReport';
import { AdminHead, ListPages, ListStates, Notice, PAGE_SIZE, totalText } from './parts';

const SHAPE = { page: '1', cursor: '', job: '', outcome: '', result_page: '1' } as const;
const KINDS = ['facts', 'thumbnail', 'posters', 'storyboard', 'subtitles'] as const;

type Asked = 'scan' | 'film' | 'reprocess' | null;

/** Imports of trees of films and other bulk work, with progress and reports. */
export function ImportsPage() {
  const { state, href, show } = useListState('/admin/imports', SHAPE);
  const [loaded, reload] = useLoad(
    (signal) => listJobs(pageNumber(state.page), PAGE_SIZE, { signal }),
    [state.page],
  );
  const [asked, setAsked] = useState<Asked>(null);
  const [said, setSaid] = useState<string | null>(null);
  const { busy, problem, run } = useMutation();
  const done = (text: string) => {
    setAsked(null);
    setSaid(text);
    reload();
  };
  const setRunning = async (job: Job, isRunning: boolean) => {
    if (await run(() => setJobRunning(job.id, isRunning))) {
      setSaid(ta(isRunning ? 'jobs.resumed' : 'jobs.stopped'));
      reload();
    }
  };
  return (
    <>
      <AdminHead title={ta('nav.imports')} count={totalText(loaded.data)}>
        <button type="button" class="button" data-testid="refresh" onClick={reload}>
          {ta('list.refresh')}
        </button>
        <button type="button" class="button" onClick={() => setAsked('reprocess')}>
          {ta('jobs.reprocess')}
        </button>
        <button type="button" class="button" onClick={() => setAsked('film')}>
          {ta('jobs.film')}
        </button>
        <button
          type="button"
          class="button button-primary"
          data-testid="start-scan"
          onClick={() => setAsked('scan')}
        >
          {ta('jobs.scan')}
        </button>
      </AdminHead>
      <Notice text={said} />
      <Problem error={problem} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        empty={ta('jobs.empty')}
      >
        <DataTable
          caption={ta('nav.imports')}
          rows={loaded.data?.items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={columnsOf((job) => href({ page: state.page, job: job.id }))}
          actionsLabel={ta('list.actions')}
          actions={(job) => (
            <JobAction job={job} busy={busy} onRun={(isRunning) => void setRunning(job, isRunning)} />
          )}
          testId="jobs-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
      {state.job && (
        <JobReport
          key={state.job}
          id={state.job}
          outcome={state.outcome}
          page={pageNumber(state.result_page)}
          show={(change) => show({ page: state.page, result_page: '1', ...change })}
          onClose={() => show({ page: state.page, job: '', outcome: '', result_page: '1' })}
        />
      )}
      {asked === 'scan' && (
        <ScanDialog onDone={() => done(ta('jobs.scanStarted'))} onClose={() => setAsked(null)} />
      )}
      {asked === 'film' && (
        <FilmDialog onDone={() => done(ta('jobs.filmAdded'))} onClose={() => setAsked(null)} />
      )}
      {asked === 'reprocess' && (
        <ReprocessDialog onDone={() => done(ta('jobs.reprocessStarted'))} onClose={() => setAsked(null)} />
      )}
    </>
  );
}

function columnsOf(hrefOf: (job: Job) => string): Column<Job>[] {
  return [
    {
      key: 'kind',
      label: ta('jobs.kind'),
      cell: (job) => (
        <span class="person">
          <a href={hrefOf(job)} data-testid="job-link">
            {ta(`jobs.kind.${job.kind}`)}
          </a>
          <span>{folderOf(job)}</span>
        </span>
      ),
    },
    {
      key: 'status',
      label: ta('jobs.status'),
      cell: ({ status, error }) => (
        <span title={error ?? undefined} class={`chip chip-${status}`} data-testid="job-status">
          {ta(`jobs.status.${status}`)}
        </span>
      ),
    },
    { key: 'progress', label: ta('jobs.progress'), class: 'figure', cell: (job) => <Progress job={job} /> },
    { key: 'counts', label: ta('jobs.counts'), class: 'wide-cell', cell: countsText },
    {
      key: 'created',
      label: ta('jobs.created'),
      class: 'figure',
      cell: ({ created_at: at }) => formatSince(at, language.value),
    },
  ];
}

export function Progress({ job }: { job: Job }) {
  const { done, total } = job;
  if (total === null || total === 0) return <>{done}</>;
  const share = Math.min(1, done / total);
  const text = `${done} / ${total}`;
  return (
    <span class="job-progress">
      <progress max={1} value={share} aria-label={ta('jobs.progress')} />
      <span>
        {text} · {formatPercent(share, language.value)}
      </span>
    </span>
  );
}

/** What a job did so far: "3 added · 1 failed". */
export const countsText = ({ counts }: Pick<Job, 'counts'>): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => `${adminCodeText('outcome', outcome)} ${count}`)
    .join(' · ') || '–';

const folderOf = ({ options }: Job): string => (typeof options.folder === 'string' ? options.folder : '');

interface ActionProps {
  job: Job;
  busy: boolean;
  onRun: (isRunning: boolean) => void;
}

export function JobAction({ job, busy, onRun }: ActionProps) {
  const { status } = job;
  const isRunning = status === 'running' || status === 'queued';
  if (status === 'finished') return null;
  return (
    <button
      type="button"
      class="button button-small"
      disabled={busy}
      data-testid={isRunning ? 'stop-job' : 'resume-job'}
      onClick={() => onRun(!isRunning)}
    >
      {ta(isRunning ? 'jobs.stop' : 'jobs.resume')}
    </button>
  );
}

interface DialogProps {
  onDone: () => void;
  onClose: () => void;
}

function ScanDialog(props: DialogProps) {
  const [folder, setFolder] = useState('');
  const [prune, setPrune] = useState(false);
  const [rescan, setRescan] = useState(false);
  return (
    <FormDialog
      title={ta('jobs.scan')}
      submit={ta('jobs.start')}
      onSubmit={() => startScan({ folder: folder.trim(), prune, rescan })}
      testId="scan-dialog"
      {...props}
    >
      <TextField
        label={ta('jobs.folder')}
        hint={ta('jobs.folderHint')}
        value={folder}
        maxLength={2000}
        testId="scan-folder"
        onInput={setFolder}
      />
      <CheckField label={ta('jobs.prune')} name="prune" checked={prune} onChange={setPrune} />
      <CheckField label={ta('jobs.rescan')} name="rescan" checked={rescan} onChange={setRescan} />
    </FormDialog>
  );
}

function FilmDialog(props: DialogProps) {
  const [location, setLocation] = useState('');
  const [title, setTitle] = useState('');
  return (
    <FormDialog
      title={ta('jobs.film')}
      submit={ta('jobs.add')}
      disabled={location.trim() === ''}
      onSubmit={() => importFilm(location.trim(), title.trim())}
      {...props}
    >
      <TextField
        label={ta('jobs.location')}
        hint={ta('jobs.locationHint')}
        value={location}
        required
        maxLength={2000}
        onInput={setLocation}
      />
      <TextField label={ta('jobs.title')} value={title} maxLength={200} onInput={setTitle} />
    </FormDialog>
  );
}

function ReprocessDialog(props: DialogProps) {
  const [kinds, setKinds] = useState<readonly string[]>([]);
  return (
    <FormDialog
      title={ta('jobs.reprocess')}
      submit={ta('jobs.start')}
      onSubmit={() => reprocessAll(kinds)}
      {...props}
    >
      <p>{ta('jobs.reprocessText')}</p>
      <fieldset class="check-list">
        <legend>{ta('jobs.parts')}</legend>
        {KINDS.map((kind) => (
          <CheckField
            key={kind}
            label={ta(`jobs.part.${kind}`)}
            checked={kinds.includes(kind)}
            onChange={(isOn) => setKinds(isOn ? [...kinds, kind] : kinds.filter((each) => each !== kind))}
          />
        ))}
      </fieldset>
    </FormDialog>
  );
}
