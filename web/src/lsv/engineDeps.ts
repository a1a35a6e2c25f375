import type { KeyGrant } from '../api/types';
import type { Binding, ExchangeKeys } from './exchange';
import type { LoaderPort } from './protocol';
import type { PlayerStatus } from './status';

/** What an engine needs of the page. */
export interface EngineDeps {
  createLoader: () => LoaderPort;
  /** The newest URL of the pack. */
  url: () => string;
  /** Returns a fresh URL. Throws `SessionOverError` when the session is over. */
  renew: () => Promise<string>;
  /**
   * Returns the wrapped content key; asks the server for it anew if the one at hand did not open the pack. Throws
   * `LicenceOverError` when there is a licence that allows nothing now.
   */
  license: (isRetry: boolean) => Promise<License>;
  status: PlayerStatus;
}

export interface License {
  grant: KeyGrant;
  keys: ExchangeKeys;
  binding: Binding;
  /** Where this browser keeps the pack; null: it is fetched. */
  stored: string | null;
}
