import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { loadCode } from '../../components/lazyPage';
import { ta } from '../../i18n/admin';
import { useListState } from '../../lib/listState';
import BrokenPage from '../BrokenPage';
import { AdminHead } from './parts';

const SHAPE = { video_id: '' } as const;

/** The editor of a film's highlights, which comes with the player when it is needed. */
export function HighlightsSection() {
  const { state } = useListState('/admin/highlights', SHAPE);
  const [Editor, setEditor] = useState<ComponentType<{ videoId: string }> | null>(null);
  const isWanted = state.video_id !== '';
  useEffect(() => {
    if (!isWanted) return;
    let current = true;
    void loadCode(() => import('./HighlightsEditor')).then((code) => {
      if (current) setEditor(() => code?.HighlightsEditor ?? BrokenPage);
    });
    return () => {
      current = false;
    };
  }, [isWanted]);
  if (isWanted && Editor) return <Editor key={state.video_id} videoId={state.video_id} />;
  return (
    <>
      <AdminHead title={ta('nav.highlights')} />
      {!isWanted && (
        <div class="empty admin-empty" data-testid="empty">
          <p>{ta('highlights.choose')}</p>
          <a class="button" href="/admin/contents">
            {ta('highlights.toContents')}
          </a>
        </div>
      )}
    </>
  );
}
