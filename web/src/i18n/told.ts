import { isMessage, t } from '.';

/** What servers say in codes, in the viewer's language; a code that is not known here stays as it is. */
function told(group: string, code: string): string {
  const key = `${group}.${code}`;
  return isMessage(key) ? t(key) : code;
}

interface Failed {
  failure_code?: string | null;
  failure_reason?: string | null;
}

/** Why a video could not be processed, and what helps. */
export function failureText({ failure_code: code, failure_reason: reason }: Failed): string {
  const key = `failure.${code}`;
  return isMessage(key) ? t(key) : reason || t('card.failedUnknown');
}

/** Where a film's bytes come from. */
export const sourceText = (source: string): string => told('source', source);

/** How a part of the platform is. */
export const healthText = (state: string): string => told('health', state);

/** A service, or what services depend on. */
export const partText = (name: string): string => told('part', name);
