/** Only paths of this site are followed after log-in, so that a crafted link cannot send anyone elsewhere. */
export function safeNext(next: string | undefined): string {
  return next && /^\/(?![/\\])/.test(next) && !next.startsWith('/login') ? next : '/';
}
