import { useEffect, useState } from 'preact/hooks';
import { endPlaySession, sendHeartbeat, startPlaySession } from '../api/playSessions';
import { backgroundTimers } from '../lib/backgroundTimers';
import { deviceName } from '../lib/deviceName';
import { uuid7 } from '../lib/uuid7';
import { PlaySession } from './playSession';

/**
 * Provides a play session that lives as long as the component and while the page is shown.
 *
 * @param publicKey of the player of a protected film
 * @param isStored whether this browser has the film, which needs no place on the server then
 */
export function usePlaySession(videoId: string, publicKey: string | null, isStored = false): PlaySession {
  const [session] = useState(() => (isStored ? storedPlaySession() : createPlaySession(videoId, publicKey)));
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

/** A session that no server knows: what plays is in this browser. */
function storedPlaySession(): PlaySession {
  const answer = async (id: string) => ({
    session_id: id,
    status: 'active' as const,
    heartbeat_sec: 3600,
    stream_url: '',
    ticket: '',
  });
  return new PlaySession({
    start: () => answer(uuid7()),
    heartbeat: answer,
    end: () => undefined,
    later: (delayMs, task) => backgroundTimers.later(delayMs, task),
    random: Math.random,
    isVisible: () => document.visibilityState === 'visible',
  });
}

/** Returns a session that is not yet open. */
export function createPlaySession(videoId: string, publicKey: string | null): PlaySession {
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
