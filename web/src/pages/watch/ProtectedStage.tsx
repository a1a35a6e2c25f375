import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { VideoDetail } from '../../api/types';
import { ErrorMessage } from '../../components/ErrorMessage';
import { loadCode } from '../../components/lazyPage';
import { t } from '../../i18n';
import type { Preparation } from '../../lsv';
import type { ProtectedFilm } from '../../lsv/film';

interface Props {
  video: VideoDetail;
  children: (film: ProtectedFilm) => ComponentChildren;
}

/** Loads the player of protected films, which no other film needs, and asks whether this browser can run it. */
export function ProtectedStage({ video, children }: Props) {
  const [preparation, setPreparation] = useState<Preparation | null>(null);
  useEffect(() => {
    let current = true;
    let prepared: Preparation | null = null;
    const load = async () => {
      const code = await loadCode(() => import('../../lsv'));
      if (!current) return;
      prepared = code ? await code.prepare(video.id) : { missing: t('broken.text') };
      if (current) setPreparation(prepared);
      else dispose(prepared);
    };
    void load();
    return () => {
      current = false;
      dispose(prepared);
    };
  }, [video.id]);

  if (preparation && 'film' in preparation) return children(preparation.film);
  return (
    <div class="stage" aria-busy={preparation === null}>
      <div class="stage-empty">
        {preparation ? (
          <ErrorMessage error={preparation.missing} />
        ) : (
          <span class="spinner" aria-hidden="true" />
        )}
      </div>
    </div>
  );
}

function dispose(preparation: Preparation | null): void {
  if (preparation && 'film' in preparation) preparation.film.dispose();
}
