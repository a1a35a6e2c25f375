import { effect } from '@preact/signals';
import { session } from '../session/session';
import { storage } from './storage';

/** Set while this browser knows positions that the server does not, of films that were watched without a network. */
export const UNSENT_KEY = 'marquee.unsent_positions';

/** Sends them once the server is there, and when the network is back. The code for it is loaded only then. */
export function sendUnsentPositions(): void {
  const send = () => {
    const state = session.peek();
    if (state.phase !== 'authenticated' || !storage.get(UNSENT_KEY)) return;
    import('../lsv/offline/positions')
      .then(({ sendPositions }) => sendPositions(state.user.id))
      .catch(() => undefined);
  };
  effect(() => {
    if (session.value.phase === 'authenticated') send();
  });
  addEventListener('online', send);
}
