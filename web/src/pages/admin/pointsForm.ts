/** As many as one adjustment may add or take away. */
const MOST = 1_000_000;

/** Returns the points that a text adds, or takes away if negative; null when it is no adjustment. */
export function pointsOf(text: string): number | null {
  // Also the minus of typography, which some keyboards and copied figures have.
  const plain = text.trim().replace(/^[−–]/, '-');
  if (!/^[+-]?\d{1,7}$/.test(plain)) return null;
  const points = Number(plain);
  return points === 0 || Math.abs(points) > MOST ? null : points;
}
