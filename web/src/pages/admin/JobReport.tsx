import { getJob, listJobResults } from '../../api/admin';
import { DataTable } from '../../components/DataTable';
import { Dialog } from '../../components/Dialog';
import { ErrorMessage } from '../../components/ErrorMessage';
import { t } from '../../i18n';
import { adminCodeText, ta } from '../../i18n/admin';
import { useLoad } from '../../lib/hooks';
import { SelectField } from './forms';
import { countsText, Progress } from './ImportsPage';

interface Props {
  id: string;
  outcome: string;
  page: number;
  show: (change: { outcome?: string; result_page?: string }) => void;
  onClose: () => void;
}

/** What a job did, file by file. */
export function JobReport({ id, outcome, page, show, onClose }: Props) {
  const [loaded, reload] = useLoad(
    async (signal) => {
      const [job, results] = await Promise.all([
        getJob(id, { signal }),
        listJobResults(id, outcome, page, { signal }),
      ]);
      return { job, results };
    },
    [id, outcome, page],
  );
  const { job, results } = loaded.data ?? {};
  const outcomes = Object.entries(job?.counts ?? {}).flatMap(([name, count]) => (count > 0 ? [name] : []));
  return (
    <Dialog
      title={job ? ta('jobs.reportOf', { kind: ta(`jobs.kind.${job.kind}`) }) : ta('jobs.report')}
      onClose={onClose}
      wide
      testId="job-report"
    >
      {loaded.phase === 'failed' && <ErrorMessage error={loaded.error} onRetry={reload} />}
      {job && (
        <div class="report-head">
          <span class={`chip chip-${job.status}`}>{ta(`jobs.status.${job.status}`)}</span>
          <Progress job={job} />
          <span data-testid="job-counts">{countsText(job)}</span>
          {job.error && <p class="letter-reason">{job.error}</p>}
        </div>
      )}
      {outcomes.length > 1 && (
        <SelectField
          label={ta('jobs.outcome')}
          name="outcome"
          value={outcome}
          options={[
            ['', ta('list.all')],
            ...outcomes.map((each) => [each, adminCodeText('outcome', each)] as const),
          ]}
          onChange={(chosen) => show({ outcome: chosen })}
        />
      )}
      {results?.items.length === 0 ? (
        <p class="quiet">{ta('jobs.noResults')}</p>
      ) : (
        <DataTable
          caption={ta('jobs.report')}
          rows={results?.items.map((each, index) => ({ ...each, key: `${index}` }))}
          rowId={({ key }) => key}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'path',
              label: ta('jobs.path'),
              class: 'long-cell',
              cell: ({ path, video_id: video }) =>
                video ? <a href={`/watch/${encodeURIComponent(video)}`}>{path || video}</a> : path,
            },
            {
              key: 'outcome',
              label: ta('jobs.outcome'),
              cell: (result) => adminCodeText('outcome', result.outcome),
            },
            {
              key: 'detail',
              label: ta('jobs.detail'),
              class: 'long-cell',
              cell: ({ detail }) => detail || '–',
            },
          ]}
          testId="job-results"
        />
      )}
      <div class="dialog-buttons">
        {results && page > 1 && (
          <button
            type="button"
            class="button"
            onClick={() => show({ outcome, result_page: String(page - 1) })}
          >
            {ta('list.previous')}
          </button>
        )}
        {results && page * results.page_size < results.total && (
          <button
            type="button"
            class="button"
            onClick={() => show({ outcome, result_page: String(page + 1) })}
          >
            {ta('list.next')}
          </button>
        )}
        <button type="button" class="button" onClick={reload}>
          {ta('list.refresh')}
        </button>
        <button type="button" class="button button-primary" onClick={onClose}>
          {t('common.close')}
        </button>
      </div>
    </Dialog>
  );
}
