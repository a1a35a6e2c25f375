import { useEffect, useState } from 'preact/hooks';
import { suggest } from '../api/endpoints';
import type { Suggestions } from '../api/types';

const DEBOUNCE_MS = 120;
const NOTHING: Suggestions = { items: [] };

/** Suggestions for what stands in the field. Those of the text before stay until the new ones are there: no blinking. */
export function useSuggestions(text: string): Suggestions {
  const [found, setFound] = useState(NOTHING);
  useEffect(() => {
    if (!text) {
      setFound(NOTHING);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(() => {
      suggest(text, { signal: abort.signal }).then(
        (suggestions) => {
          if (!abort.signal.aborted) setFound(suggestions);
        },
        // What was found before stays; the next key stroke asks again.
        () => undefined,
      );
    }, DEBOUNCE_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [text]);
  return found;
}
