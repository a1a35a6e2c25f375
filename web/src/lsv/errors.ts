/** Why a pack, a record or a key is refused. */
export type Fault =
  | 'not-a-pack'
  | 'unsupported'
  | 'truncated'
  | 'trailing'
  | 'malformed'
  | 'wrong-key'
  | 'header-changed'
  | 'wrong-content'
  | 'record-changed'
  /** The licence is for another use: online, offline. */
  | 'wrong-scope'
  /** The content key does not unwrap. */
  | 'key-changed';

export class LsvError extends Error {
  override name = 'LsvError';

  constructor(
    readonly fault: Fault,
    message: string,
  ) {
    super(message);
  }
}

/** An offline licence allows nothing now: it has ended, or the clock was turned back. */
export class LicenceOverError extends Error {
  override name = 'LicenceOverError';

  constructor(override readonly cause: 'clock' | null) {
    super(cause ?? 'expired');
  }
}
