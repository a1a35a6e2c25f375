import { endReason, requestSessionKey } from '../api/playSessions';
import type { KeyGrant, Watermark } from '../api/types';
import { type PlaySession, SessionOverError } from '../playsession/playSession';
import { toBase64Url } from './bytes';
import type { License } from './engineDeps';
import type { ExchangeKeys } from './exchange';

/** Where the content key of a film comes from. */
export interface KeySource {
  /** Returns the wrapped key; another one, if there is, when the one before did not open the pack. */
  license(
    session: PlaySession,
    isRetry: boolean,
  ): Promise<{ license: License; watermark: Watermark | null | undefined }>;
}

/** Keys that the server gives to play sessions. */
export class SessionKeys implements KeySource {
  readonly publicKey: string;

  constructor(
    private readonly videoId: string,
    private readonly keys: ExchangeKeys,
  ) {
    this.publicKey = toBase64Url(keys.publicKey);
  }

  async license(session: PlaySession, isRetry: boolean) {
    const state = session.state.peek();
    if (state.phase !== 'active') throw new SessionOverError();
    const { videoId, keys } = this;
    const grant = (isRetry ? null : session.key) ?? (await this.requestKey(session, state.id));
    const binding = { scope: 'ONLINE_STREAM_ONLY' as const, sessionId: state.id, videoId };
    return { license: { grant, keys, binding, stored: null }, watermark: grant.watermark };
  }

  private async requestKey(session: PlaySession, id: string): Promise<KeyGrant> {
    try {
      return await requestSessionKey(id, this.publicKey);
    } catch (error) {
      // Has the session show to the viewer that it is over.
      if (endReason(error) !== null) await session.renew();
      throw error;
    }
  }
}
