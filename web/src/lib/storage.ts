/** Wraps localStorage, which may be missing or blocked; values that can't be stored are dropped. */
export const storage = {
  get(key: string): string | null {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key: string, value: string): void {
    try {
      localStorage.setItem(key, value);
    } catch {
      // No feature depends on it.
    }
  },
};
