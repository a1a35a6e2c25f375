import type { DownloadFailure } from './protocol';
import type { SelfTestStep } from './selfTest';

/** Why a download does not go on. */
export type Trouble =
  | { kind: 'self-test'; step: SelfTestStep | 'worker' }
  | { kind: 'refused' }
  /** Another viewer has logged in, in another tab. */
  | { kind: 'otherViewer' }
  | { kind: 'error'; error: unknown }
  | DownloadFailure;

export class OtherViewerError extends Error {}

/** A worker did not start, or has crashed. */
export class WorkerError extends Error {}

export class SelfTestError extends Error {
  constructor(readonly step: SelfTestStep | 'worker') {
    super(step);
  }
}

export function troubleOf(error: unknown): Trouble {
  if (error instanceof SelfTestError) return { kind: 'self-test', step: error.step };
  if (error instanceof OtherViewerError) return { kind: 'otherViewer' };
  return error instanceof WorkerError ? { kind: 'worker' } : { kind: 'error', error };
}
