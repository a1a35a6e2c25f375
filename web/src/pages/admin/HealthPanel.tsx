import { useState } from 'preact/hooks';
import { getHealth } from '../../api/endpoints';
import type { Health } from '../../api/types';
import { ErrorMessage } from '../../components/ErrorMessage';
import { language } from '../../i18n';
import { ta } from '../../i18n/admin';
import { healthText, partText } from '../../i18n/codeText';
import { useLoad, usePolling } from '../../lib/hooks';
import { healthGrade } from './health';

const POLL = { firstMs: 30_000 };

export function HealthPanel() {
  const [state, reload] = useLoad(
    async (signal) => ({ health: await getHealth({ signal }), at: new Date() }),
    [],
  );
  const [polled, setPolled] = useState<{ health: Health; at: Date } | null>(null);
  usePolling(async () => setPolled({ health: await getHealth(), at: new Date() }), true, POLL);
  const latest = polled && (!state.data || polled.at > state.data.at) ? polled : state.data;

  return (
    <section class="panel health" aria-labelledby="health" data-testid="health-panel">
      <div class="section-head">
        <h2 id="health">{ta('admin.health')}</h2>
        {latest && <StatusDot value={latest.health.status} />}
        <a class="section-actions" href="/admin/health">
          {ta('health.see')}
          <span class="visually-hidden"> {ta('admin.health')}</span>
        </a>
      </div>
      {state.phase === 'failed' && !latest && <ErrorMessage error={state.error} onRetry={reload} retries />}
      {latest && (
        <>
          <HealthList title={ta('admin.services')} entries={latest.health.services} />
          <HealthList title={ta('admin.dependencies')} entries={latest.health.dependencies} />
          <p class="quiet">
            {ta('admin.checkedAt', {
              time: new Intl.DateTimeFormat(language.value, { timeStyle: 'medium' }).format(latest.at),
            })}
          </p>
        </>
      )}
    </section>
  );
}

function HealthList({ title, entries }: { title: string; entries: Record<string, string> }) {
  return (
    <>
      <h3>{title}</h3>
      <dl class="health-list">
        {Object.entries(entries ?? {}).map(([name, value]) => (
          <div key={name}>
            <dt>{partText(name)}</dt>
            <dd>
              <StatusDot value={value} />
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

export function StatusDot({ value }: { value: string }) {
  return <span class={`dot dot-${healthGrade(value)}`}>{healthText(value)}</span>;
}
