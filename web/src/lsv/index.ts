import './lsv.css';
import { findMissing } from './capability';
import { createExchangeKeys } from './exchange';
import { ProtectedFilm } from './film';
import { missingText } from './sentences';

export type Preparation = { film: ProtectedFilm } | { missing: string };

/** Makes what a protected film needs on this page, or says why this browser can't play it. */
export async function prepare(videoId: string): Promise<Preparation> {
  const missing = findMissing();
  if (missing !== null) return { missing: missingText(missing) };
  try {
    return { film: new ProtectedFilm(videoId, await createExchangeKeys()) };
  } catch {
    return { missing: missingText('web-crypto') };
  }
}
