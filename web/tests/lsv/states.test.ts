import { describe, expect, it } from 'vitest';
import doc from '../../../docs/protected-playback.md?raw';
import {
  diagram,
  EVENTS,
  next,
  type PlayerEvent,
  type PlayerState,
  STATES,
  TRANSITIONS,
} from '../../src/lsv/states';
import { PlayerStatus } from '../../src/lsv/status';

/** Every transition, written out a second time: state, event, state after it. */
const EXPECTED = `
idle open requesting-key

requesting-key open requesting-key
requesting-key key downloading
requesting-key trouble recovering
requesting-key unreachable error-retryable
requesting-key refused error-fatal
requesting-key expired license-expired
requesting-key close idle

downloading open requesting-key
downloading received decrypting
downloading playable ready
downloading seek buffering-seek
downloading trouble recovering
downloading unreachable error-retryable
downloading refused error-fatal
downloading expired license-expired
downloading close idle

decrypting open requesting-key
decrypting playable ready
decrypting seek buffering-seek
decrypting trouble recovering
decrypting unreachable error-retryable
decrypting refused error-fatal
decrypting expired license-expired
decrypting close idle

buffering-seek open requesting-key
buffering-seek playable ready
buffering-seek seek buffering-seek
buffering-seek trouble recovering
buffering-seek unreachable error-retryable
buffering-seek refused error-fatal
buffering-seek expired license-expired
buffering-seek close idle

ready open requesting-key
ready play playing
ready pause paused
ready seek buffering-seek
ready trouble recovering
ready unreachable error-retryable
ready refused error-fatal
ready expired license-expired
ready close idle

playing open requesting-key
playing pause paused
playing seek buffering-seek
playing starved downloading
playing trouble recovering
playing unreachable error-retryable
playing refused error-fatal
playing expired license-expired
playing close idle

paused open requesting-key
paused play playing
paused seek buffering-seek
paused starved downloading
paused trouble recovering
paused unreachable error-retryable
paused refused error-fatal
paused expired license-expired
paused close idle

recovering open requesting-key
recovering key downloading
recovering playable ready
recovering unreachable error-retryable
recovering refused error-fatal
recovering expired license-expired
recovering close idle

error-fatal open requesting-key
error-fatal close idle

error-retryable open requesting-key
error-retryable playable ready
error-retryable close idle

license-expired open requesting-key
license-expired close idle
`;

const expected = new Map(
  EXPECTED.trim()
    .split(/\n+/)
    .map((line) => line.split(' ') as [PlayerState, PlayerEvent, PlayerState])
    .map(([state, event, to]) => [`${state} ${event}`, to]),
);

describe('states of the player', () => {
  it('are the twelve of the specification', () => {
    expect(STATES).toEqual([
      'idle',
      'requesting-key',
      'downloading',
      'decrypting',
      'buffering-seek',
      'ready',
      'playing',
      'paused',
      'recovering',
      'error-fatal',
      'error-retryable',
      'license-expired',
    ]);
  });

  it.each(STATES.flatMap((state) => EVENTS.map((event) => [state, event] as const)))(
    '%s, then %s',
    (state, event) => {
      expect(next(state, event)).toBe(expected.get(`${state} ${event}`) ?? state);
    },
  );

  it('can all be reached from idle', () => {
    const reached = new Set<PlayerState>(['idle']);
    for (const state of reached) for (const to of Object.values(TRANSITIONS[state])) reached.add(to);
    expect([...reached].sort()).toEqual([...STATES].sort());
  });

  it('can all be left', () => {
    for (const state of STATES) {
      expect(Object.values(TRANSITIONS[state]).some((to) => to !== state)).toBe(true);
    }
  });

  it('are drawn in the documentation', () => {
    expect(doc).toContain(`\`\`\`mermaid\n${diagram()}\n\`\`\``);
  });
});

describe('status', () => {
  it('keeps the cause of the state that it is in', () => {
    const status = new PlayerStatus();
    status.emit('open');
    status.emit('trouble', 'network');
    expect(status.signal.value).toEqual({ state: 'recovering', cause: 'network' });
    status.emit('trouble', 'ticket');
    expect(status.signal.value).toEqual({ state: 'recovering', cause: 'ticket' });
    status.emit('pause');
    status.emit('refused', 'scope');
    status.emit('refused', 'damaged');
    status.emit('trouble', 'network');
    expect(status.signal.value).toEqual({ state: 'error-fatal', cause: 'scope' });
    status.emit('open');
    expect(status.signal.value).toEqual({ state: 'requesting-key', cause: null });
  });
});
