import type { ManagedVideo } from '../../api/films';

export type Protection = 'none' | 'packing' | 'first' | 'on' | 'gone' | 'failed';

const BEING_PACKED: ReadonlySet<string> = new Set(['waiting', 'running', 'retrying']);

const packing = ({ jobs }: ManagedVideo) => jobs.find(({ kind }) => kind === 'protect');

/** Returns how a film is protected; `gone`: it is, and has no file any more that it could be encrypted from again. */
export function protectionOf(video: ManagedVideo): Protection {
  const hasPack = video.files.some(({ kind }) => kind === 'lsv');
  const state = packing(video)?.state ?? '';
  if (BEING_PACKED.has(state)) return video.status === 'ready' ? 'packing' : 'first';
  if (video.protection === 'lsv' && hasPack) {
    return video.files.some(({ kind }) => kind === 'source') ? 'on' : 'gone';
  }
  if (state === 'failed') return 'failed';
  return video.protection === 'lsv' ? 'first' : 'none';
}

/** Returns when the state of the encryption changed last; '' before the first one. */
export const packingChangedAt = (video: ManagedVideo): string => packing(video)?.updated_at ?? '';

/** Returns why the last try to encrypt a film failed; '' if it did not. */
export const packingFailure = (video: ManagedVideo): string => {
  const job = packing(video);
  return job?.state === 'failed' ? job.reason : '';
};
