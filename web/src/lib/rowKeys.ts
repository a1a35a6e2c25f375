/** Which card of a row a key leads to; null when the key means nothing here, or there is no further card. */
export function cardAfterKey(key: string, current: number, count: number): number | null {
  const wanted = { ArrowRight: current + 1, ArrowLeft: current - 1, Home: 0, End: count - 1 }[key];
  return wanted === undefined || wanted < 0 || wanted >= count || wanted === current ? null : wanted;
}
