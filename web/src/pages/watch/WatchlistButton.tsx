import { useState } from 'preact/hooks';
import { isOnWatchlist, setOnWatchlist } from '../../api/discovery';
import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon } from '../../components/Icon';
import { v } from '../../i18n/viewer';
import { useLoad } from '../../lib/hooks';

/** Puts a film on the viewer's list, or takes it off. */
export function WatchlistButton({ videoId }: { videoId: string }) {
  const [loaded] = useLoad((signal) => isOnWatchlist(videoId, { signal }), [videoId]);
  const [chosen, setChosen] = useState<boolean | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const isOn = chosen ?? loaded.data;

  const toggle = async () => {
    setBusy(true);
    setError(null);
    try {
      await setOnWatchlist(videoId, !isOn);
      setChosen(!isOn);
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };

  return (
    <>
      <button
        type="button"
        class="button watchlist-button"
        aria-pressed={isOn ?? false}
        disabled={isBusy || isOn === undefined}
        data-testid="watchlist-button"
        onClick={() => void toggle()}
      >
        <Icon name={isOn ? 'check' : 'plus'} size={18} />
        {isOn ? v('watchlist.on') : v('watchlist.add')}
      </button>
      {error !== null && <ErrorMessage error={error} />}
    </>
  );
}
