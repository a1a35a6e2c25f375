import { useState } from 'preact/hooks';
import { ApiError } from '../../api/errors';
import { listPlaySessions, stopPlaySession } from '../../api/playSessions';
import type { WatchingDevice } from '../../api/types';
import { DeviceList } from '../../components/DeviceList';
import { ErrorMessage } from '../../components/ErrorMessage';
import { v } from '../../i18n/viewer';
import { useLoad, usePolling } from '../../lib/hooks';

const POLL = { firstMs: 6000 };

/** The viewer's play sessions on all devices, each with a button that stops it. */
export function WatchingPanel() {
  const [loaded, reload] = useLoad((signal) => listPlaySessions({ signal }), []);
  const [latest, setLatest] = useState<readonly WatchingDevice[] | null>(null);
  const [stopped, setStopped] = useState<string | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const devices = latest ?? loaded.data?.items;

  const refresh = async () => setLatest((await listPlaySessions()).items);
  usePolling(refresh, true, POLL);

  const stop = async (device: WatchingDevice) => {
    setProblem(null);
    try {
      await stopPlaySession(device.session_id);
      setStopped(device.device_name);
    } catch (error) {
      // It may have ended meanwhile.
      if (!(error instanceof ApiError && error.status === 404)) setProblem(error);
    }
    await refresh().catch(setProblem);
  };

  return (
    <section class="panel" aria-labelledby="watching" data-testid="watching-panel">
      <div class="section-head">
        <h2 id="watching">{v('account.watching')}</h2>
        {devices && devices.length > 0 && <span class="count">{devices.length}</span>}
      </div>
      {loaded.phase === 'failed' && !devices && (
        <ErrorMessage error={loaded.error} onRetry={reload} retries />
      )}
      {problem !== null && <ErrorMessage error={problem} />}
      <p class="approved" role="status">
        {stopped !== null && v('account.stopped', { device: stopped })}
      </p>
      {devices?.length === 0 && <p class="quiet">{v('account.watchingNone')}</p>}
      {devices && devices.length > 0 && (
        <DeviceList
          devices={devices}
          action={(device) => (
            <button
              type="button"
              class="button"
              aria-label={v('account.stopDevice', { device: device.device_name })}
              data-testid="stop-device"
              onClick={() => void stop(device)}
            >
              {v('account.stop')}
            </button>
          )}
        />
      )}
    </section>
  );
}
