import { useEffect, useState } from 'preact/hooks';
import { p } from '../i18n/playing';
import { type RemoteState, watchRemote } from './remotePlayback';

/** Sends the film to a television or a loudspeaker, where the browser knows one. */
export function CastButton({ video }: { video: HTMLVideoElement }) {
  const [state, setState] = useState<RemoteState>('none');
  useEffect(() => watchRemote(video, setState), [video]);
  if (state === 'none') return null;
  return (
    <button
      type="button"
      class="button"
      data-testid="cast"
      onClick={() => {
        // The viewer may choose none.
        video.remote.prompt().catch(() => undefined);
      }}
    >
      {p(state === 'connected' ? 'cast.connected' : 'cast.choose')}
    </button>
  );
}
