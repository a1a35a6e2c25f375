import { listContents, listDeadLetters } from '../../api/admin';
import { getHealth } from '../../api/endpoints';
import { isAbort } from '../../api/errors';
import { listStreams } from '../../api/playSessions';
import { DataTable } from '../../components/DataTable';
import { Icon } from '../../components/Icon';
import { adminCodeText, ta } from '../../i18n/admin';
import { partText } from '../../i18n/codeText';
import { useLoad } from '../../lib/hooks';
import { StatusDot } from './HealthPanel';
import { healthGrade, type Problem, problemsOf, type Report } from './health';
import { AdminHead, ListStates } from './parts';

/** How the platform is, and what to do when something is wrong. */
export function HealthPage() {
  const [loaded, reload] = useLoad(loadReport, []);
  const report = loaded.data;
  const problems = report && problemsOf(report);
  return (
    <>
      <AdminHead title={ta('nav.health')}>
        <button type="button" class="button" data-testid="refresh" onClick={reload}>
          {ta('list.refresh')}
        </button>
      </AdminHead>
      <p class="lead">{ta('health.intro')}</p>
      <ListStates loaded={loaded} reload={reload} isEmpty={false} empty="">
        {problems && <Advice problems={problems} />}
        <Parts title={ta('health.services')} group="services" report={report} />
        <Parts title={ta('health.dependencies')} group="dependencies" report={report} />
        {report && <Work report={report} />}
      </ListStates>
    </>
  );
}

async function loadReport(signal: AbortSignal): Promise<Report> {
  const known = <Answer,>(asked: Promise<Answer>): Promise<Answer | null> =>
    asked.catch((error) => {
      // What can't be asked is part of what is wrong, which the health says.
      if (isAbort(error)) throw error;
      return null;
    });
  const [health, streams, letters, failed] = await Promise.all([
    getHealth({ signal }),
    known(listStreams(1, 1, { signal })),
    known(listDeadLetters('', { signal })),
    known(listContents({ status: 'failed', page_size: 1 }, { signal })),
  ]);
  return {
    health,
    metrics: streams?.metrics ?? null,
    deadLetters: letters?.items.length ?? null,
    failedVideos: failed?.total ?? null,
  };
}

/** Advice for a part; the general one for a part that has none of its own. */
function adviceFor(group: string, name: string, other: string): string {
  const text = adminCodeText(group, name);
  return text === name ? other : text;
}

function Advice({ problems }: { problems: readonly Problem[] }) {
  if (problems.length === 0) {
    return (
      <p class="approved health-well" role="status" data-testid="all-well">
        <Icon name="check" size={18} /> {ta('health.allWell')}
      </p>
    );
  }
  return (
    <section class="panel health-todo" aria-labelledby="todo" data-testid="todo">
      <h2 id="todo">{ta('health.todo')}</h2>
      <ul>
        {problems.map((problem) => (
          <li key={JSON.stringify(problem)}>{problemText(problem)}</li>
        ))}
      </ul>
    </section>
  );
}

function problemText(problem: Problem) {
  switch (problem.kind) {
    case 'service':
    case 'dependency': {
      const other = ta(problem.kind === 'service' ? 'healthDo.service' : 'healthDo.other');
      return (
        <>
          <strong>{partText(problem.name)}</strong>: {adviceFor('healthDo', problem.name, other)}
        </>
      );
    }
    case 'opens':
      return ta('health.opens', { seconds: problem.seconds });
    case 'full':
      return ta('health.full', { max: problem.max, queued: problem.queued });
    case 'deadLetters':
      return <a href="/admin/dead-letters">{ta('health.deadLetters', { count: problem.count })}</a>;
    case 'failedVideos':
      return (
        <a href="/admin/contents?status=failed">{ta('health.failedVideos', { count: problem.count })}</a>
      );
  }
}

interface PartsProps {
  title: string;
  group: 'services' | 'dependencies';
  report: Report | undefined;
}

function Parts({ title, group, report }: PartsProps) {
  return (
    <section class="health-parts" aria-label={title}>
      <h2>{title}</h2>
      <DataTable
        caption={title}
        rows={report && Object.entries(report.health[group])}
        rowId={([name]) => name}
        columns={[
          { key: 'part', label: ta('health.part'), cell: ([name]) => partText(name) },
          { key: 'state', label: ta('health.state'), cell: ([, state]) => <StatusDot value={state} /> },
          {
            key: 'advice',
            label: ta('health.advice'),
            class: 'long-cell',
            cell: ([name, state]) => (
              <>
                {adviceFor('healthFor', name, '')}
                {healthGrade(state) === 'bad' && (
                  <strong class="advice">
                    {adviceFor(
                      'healthDo',
                      name,
                      ta(group === 'services' ? 'healthDo.service' : 'healthDo.other'),
                    )}
                  </strong>
                )}
              </>
            ),
          },
        ]}
        testId={`health-${group}`}
      />
    </section>
  );
}

function Work({ report }: { report: Report }) {
  const { metrics, deadLetters, failedVideos } = report;
  return (
    <section class="health-parts" aria-label={ta('health.work')}>
      <h2>{ta('health.work')}</h2>
      <ul class="health-work">
        {metrics && <li>{ta('health.places', { active: metrics.active, max: metrics.max_streams })}</li>}
        {deadLetters === 0 && <li>{ta('health.noDeadLetters')}</li>}
        {failedVideos === 0 && <li>{ta('health.noFailedVideos')}</li>}
        {!metrics && <li>{ta('streams.title')}: –</li>}
      </ul>
    </section>
  );
}
