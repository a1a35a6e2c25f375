import { useEffect, useState } from 'preact/hooks';
import { endPlaySession, sendHeartbeat, startPlaySession } from '../api/playSessions';
import { backgroundTimers } from '../lib/backgroundTimers';
import { deviceName } from '../lib/deviceName';
import { PlaySession } from './playSession';

/**
 * Provides a play session that lives as long as the component and while the page is shown.
 *
 * @param publicKey of the player of a protected film
 */
export function usePlaySession(videoId: string, publicKey: string | null): PlaySession {
  const [session] = useState(() => createPlaySession(videoId, publicKey));
  useEffect(() => {
    const onHide = () => session.close({ closing: true });
    const onShow = (event: PageTransitionEvent) => {
      // Restored from the browser's back/forward cache, where it held no session.
      if (event.persisted) session.open();
    };
    const onVisibility = () => {
      if (document.visibilityState === 'visible') session.returned();
    };
    window.addEventListener('pagehide', onHide);
    window.addEventListener('pageshow', onShow);
    document.addEventListener('visibilitychange', onVisibility);
    session.open();
    return () => {
      window.removeEventListener('pagehide', onHide);
      window.removeEventListener('pageshow', onShow);
      document.removeEventListener('visibilitychange', onVisibility);
      session.close();
    };
  }, [session]);
  return session;
}

function createPlaySession(videoId: string, publicKey: string | null): PlaySession {
  return new PlaySession({
    start: (insteadOf) =>
      startPlaySession({
        video_id: videoId,
        device_name: deviceName(),
        ...(insteadOf === undefined ? {} : { instead_of: insteadOf }),
        ...(publicKey === null ? {} : { public_key: publicKey }),
      }),
    heartbeat: sendHeartbeat,
    end: endPlaySession,
    later: (delayMs, task) => backgroundTimers.later(delayMs, task),
    random: Math.random,
    isVisible: () => document.visibilityState === 'visible',
  });
}
