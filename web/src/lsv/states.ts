/** The states of the player, exactly those of the specification of protected playback (section 4). */
export const STATES = [
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
] as const;
export type PlayerState = (typeof STATES)[number];

export const EVENTS = [
  /** A film is to be loaded, at first or once more. */
  'open',
  /** The content key is there, and its scope is right. */
  'key',
  /** Bytes of the chunk that the playhead waits for have arrived. */
  'received',
  /** There is enough around the playhead to play. */
  'playable',
  'play',
  'pause',
  'seek',
  /** The playhead got to where nothing is buffered. */
  'starved',
  /** A request failed or a chunk is damaged, and it is tried again. */
  'trouble',
  /** The playhead is where nothing arrives in spite of that. */
  'unreachable',
  /** The playhead is where a chunk is damaged for good; or the key, the header or the watermark is not what it must be. */
  'refused',
  /** The offline licence is over. */
  'expired',
  /** The film is put away. */
  'close',
] as const;
export type PlayerEvent = (typeof EVENTS)[number];

type Row = Partial<Record<PlayerEvent, PlayerState>>;

const ENDS: Row = {
  unreachable: 'error-retryable',
  refused: 'error-fatal',
  expired: 'license-expired',
  close: 'idle',
};
const REOPENS: Row = { open: 'requesting-key', close: 'idle' };
const MOVES: Row = { seek: 'buffering-seek', trouble: 'recovering' };

/** Where each event leads. An event that a state does not list changes nothing. */
export const TRANSITIONS: Readonly<Record<PlayerState, Row>> = {
  idle: { open: 'requesting-key' },
  'requesting-key': { ...ENDS, open: 'requesting-key', key: 'downloading', trouble: 'recovering' },
  downloading: { ...ENDS, ...MOVES, open: 'requesting-key', received: 'decrypting', playable: 'ready' },
  decrypting: { ...ENDS, ...MOVES, open: 'requesting-key', playable: 'ready' },
  'buffering-seek': { ...ENDS, ...MOVES, open: 'requesting-key', playable: 'ready' },
  ready: { ...ENDS, ...MOVES, open: 'requesting-key', play: 'playing', pause: 'paused' },
  playing: { ...ENDS, ...MOVES, open: 'requesting-key', pause: 'paused', starved: 'downloading' },
  paused: { ...ENDS, ...MOVES, open: 'requesting-key', play: 'playing', starved: 'downloading' },
  // A seek does not end it: the viewer goes on reading why nothing plays.
  recovering: { ...ENDS, open: 'requesting-key', key: 'downloading', playable: 'ready' },
  'error-fatal': REOPENS,
  'error-retryable': { ...REOPENS, playable: 'ready' },
  'license-expired': REOPENS,
};

export function next(state: PlayerState, event: PlayerEvent): PlayerState {
  return TRANSITIONS[state][event] ?? state;
}

/** Returns the table as a diagram for Mermaid, one arrow for each pair of states. */
export function diagram(): string {
  const name = (state: string) => state.replace('-', '_');
  const lines = ['stateDiagram-v2', '    [*] --> idle'];
  for (const state of STATES) {
    const arrows = new Map<PlayerState, PlayerEvent[]>();
    for (const event of EVENTS) {
      const to = TRANSITIONS[state][event];
      if (to) arrows.set(to, [...(arrows.get(to) ?? []), event]);
    }
    for (const [to, events] of arrows) lines.push(`    ${name(state)} --> ${name(to)}: ${events.join(', ')}`);
  }
  return lines.join('\n');
}
