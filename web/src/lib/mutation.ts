import { useRef, useState } from 'preact/hooks';

export interface Mutation {
  busy: boolean;
  /** Why the last run failed; null while nothing went wrong. */
  problem: unknown;
  /** Runs a change, unless one is under way; returns whether it went well. */
  run: (change: () => Promise<unknown>) => Promise<boolean>;
}

/** A change of something on the server: at most one at a time, with what went wrong. */
export function useMutation(): Mutation {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const isRunning = useRef(false);
  const run = async (change: () => Promise<unknown>) => {
    if (isRunning.current) return false;
    isRunning.current = true;
    setBusy(true);
    setProblem(null);
    try {
      await change();
      return true;
    } catch (error) {
      setProblem(error);
      return false;
    } finally {
      isRunning.current = false;
      setBusy(false);
    }
  };
  return { busy, problem, run };
}
