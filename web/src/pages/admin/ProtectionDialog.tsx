import { useState } from 'preact/hooks';
import type { Content } from '../../api/admin';
import { getManagedVideo, type ManagedVideo, protectFilm, rekeyFilm, unprotectFilm } from '../../api/films';
import { Dialog } from '../../components/Dialog';
import { ErrorMessage } from '../../components/ErrorMessage';
import { t } from '../../i18n';
import { ta } from '../../i18n/admin';
import { useLoad, usePolling } from '../../lib/hooks';
import { useMutation } from '../../lib/mutation';
import { Problem } from './forms';
import { type Protection, packingChangedAt, packingFailure, protectionOf } from './protection';

const POLL = { firstMs: 2000, longestMs: 15_000 };

interface Props {
  content: Content;
  onClose: (isChanged: boolean) => void;
}

/** Shows how a film is protected, and has it protected, unprotected or given another key. */
export function ProtectionDialog({ content, onClose }: Props) {
  const { id, title } = content;
  const [loaded, reload] = useLoad((signal) => getManagedVideo(id, { signal }), [id]);
  const [newer, setNewer] = useState<ManagedVideo | null>(null);
  const [said, setSaid] = useState('');
  /** What the pipeline had reported when it was asked: it reports a little later that it has begun. */
  const [askedAt, setAskedAt] = useState<string | null>(null);
  const { busy, problem, run } = useMutation();
  const video = newer ?? loaded.data;
  const state = video && protectionOf(video);
  const isAwaited = video !== undefined && askedAt === packingChangedAt(video);
  const isPacking = state === 'packing' || state === 'first' || isAwaited;
  usePolling(async () => setNewer(await getManagedVideo(id)), isPacking, POLL);
  const change = async (task: (id: string) => Promise<ManagedVideo>, text: string) => {
    const before = video ? packingChangedAt(video) : '';
    if (!(await run(async () => setNewer(await task(id))))) return;
    setAskedAt(before);
    setSaid(text);
  };
  const unprotect = async () => {
    if (await run(async () => setNewer(await unprotectFilm(id)))) setAskedAt(null);
  };
  const buttonOf = (name: 'protect' | 'rekey', task: typeof protectFilm, text: string) => (
    <button
      type="button"
      class="button button-primary"
      disabled={busy || isPacking}
      data-testid={`${name}-film`}
      onClick={() => void change(task, text)}
    >
      {ta(`protection.${name}`)}
    </button>
  );
  const isPacked = state === 'on' || state === 'gone';
  const canProtect = (state === 'none' || state === 'failed') && !isAwaited;
  return (
    <Dialog
      title={ta('protection.of', { title })}
      onClose={() => onClose(newer !== null)}
      testId="protection-dialog"
    >
      <div class="dialog-form">
        {loaded.phase === 'failed' && !video && (
          <ErrorMessage error={loaded.error} onRetry={reload} retries />
        )}
        {video && state && (
          <>
            <p data-testid="protection-state" data-state={isAwaited ? 'asked' : state}>
              {isAwaited ? ta('protection.packing') : stateText(state, video)}
            </p>
            {canProtect && <p>{ta('protection.protectText')}</p>}
            {isPacked && !isAwaited && <p>{ta('protection.rekeyText')}</p>}
          </>
        )}
        <p role="status" class="quiet">
          {isPacking && said}
        </p>
        <Problem error={problem} />
        <div class="dialog-buttons">
          {video?.protection === 'lsv' && (
            <a class="button button-quiet" href={`/admin/licences?video_id=${encodeURIComponent(id)}`}>
              {ta('protection.licences')}
            </a>
          )}
          <button type="button" class="button" onClick={() => onClose(newer !== null)}>
            {t('common.close')}
          </button>
          {canProtect && buttonOf('protect', protectFilm, ta('protection.protected', { title }))}
          {state === 'on' && (
            <button
              type="button"
              class="button"
              disabled={busy || isPacking}
              data-testid="unprotect-film"
              onClick={() => void unprotect()}
            >
              {ta('protection.unprotect')}
            </button>
          )}
          {isPacked && buttonOf('rekey', rekeyFilm, ta('protection.rekeyed', { title }))}
        </div>
      </div>
    </Dialog>
  );
}

const stateText = (state: Protection, video: ManagedVideo): string =>
  state === 'failed'
    ? ta('protection.failed', { reason: packingFailure(video) })
    : state === 'gone'
      ? `${ta('protection.on')} ${ta('protection.gone')}`
      : ta(`protection.${state}`);
