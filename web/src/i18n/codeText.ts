import { isMessage, t } from '.';

/** Translates a server's code into the viewer's language; an unknown code is returned unchanged. */
function textOfCode(group: string, code: string): string {
  const key = `${group}.${code}`;
  return isMessage(key) ? t(key) : code;
}

interface Failed {
  failure_code?: string | null;
  failure_reason?: string | null;
}

/** Returns why a video could not be processed, and what helps. */
export function failureText({ failure_code: code, failure_reason: reason }: Failed): string {
  const key = `failure.${code}`;
  return isMessage(key) ? t(key) : reason || t('card.failedUnknown');
}

/** Names the storage that a film's bytes come from. */
export const sourceText = (source: string): string => textOfCode('source', source);

/** Names the health of a part of the platform. */
export const healthText = (state: string): string => textOfCode('health', state);

/** Names a service, or a dependency of services. */
export const partText = (name: string): string => textOfCode('part', name);
