import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { User } from '../api/types';
import { t } from '../i18n';
import { logOut } from '../session/session';
import { overallPercent } from '../upload/queue';
import { LanguageSwitch } from './LanguageSwitch';
import { SearchBox } from './SearchBox';

export function Brand() {
  return (
    <a class="brand" href="/" aria-label="Marquee">
      <img src="/favicon.svg" alt="" width="32" height="32" />
      <span>Marquee</span>
    </a>
  );
}

/** Rendered without a user while the server can't be reached: the links to the pages stay. */
export function Header({ user }: { user: User | null }) {
  return (
    <header class="site-header">
      <div class="site-header-inner">
        <Brand />
        <nav class="site-nav" aria-label={t('nav.main')}>
          <NavLink href="/">{t('nav.home')}</NavLink>
          <NavLink href="/highlights">{t('nav.highlights')}</NavLink>
          <NavLink href="/watchlist">{t('nav.watchlist')}</NavLink>
          <NavLink href="/history" isWide>
            {t('nav.history')}
          </NavLink>
          {user?.can_upload && <UploadLink />}
          {user?.role === 'admin' && <NavLink href="/admin">{t('nav.admin')}</NavLink>}
        </nav>
        <SearchBox />
        <LanguageSwitch />
        {user && <UserMenu user={user} />}
      </div>
    </header>
  );
}

interface NavLinkProps {
  href: string;
  /** Shown on wide screens only; on narrow ones, the menu has it. */
  isWide?: boolean;
  children: preact.ComponentChildren;
}

function NavLink({ href, isWide = false, children }: NavLinkProps) {
  const { path } = useLocation();
  return (
    <a
      class={isWide ? 'nav-wide' : undefined}
      href={href}
      aria-current={path === href || path.startsWith(`${href}/`) ? 'page' : undefined}
    >
      {children}
    </a>
  );
}

function UploadLink() {
  const percent = overallPercent.value;
  return (
    <NavLink href="/upload">
      {percent === null ? (
        t('nav.upload')
      ) : (
        <span class="nav-uploading">{t('nav.uploading', { percent })}</span>
      )}
    </NavLink>
  );
}

/** Spread out in the header on wide screens; a pop-up behind the initial on narrow ones (see header.css). */
function UserMenu({ user }: { user: User }) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const toggle = useRef<HTMLButtonElement>(null);
  const { path } = useLocation();

  // Navigation closes the menu.
  useEffect(() => setOpen(false), [path]);

  useEffect(() => {
    if (!open) return;
    const onPointer = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return;
      setOpen(false);
      toggle.current?.focus();
    };
    document.addEventListener('pointerdown', onPointer);
    document.addEventListener('keydown', onKey);
    return () => {
      document.removeEventListener('pointerdown', onPointer);
      document.removeEventListener('keydown', onKey);
    };
  }, [open]);

  return (
    <div class="user-menu" ref={root}>
      <button
        type="button"
        class="user-menu-toggle"
        ref={toggle}
        aria-expanded={open}
        aria-controls="user-menu-panel"
        aria-label={t('nav.account')}
        data-testid="user-menu"
        onClick={() => setOpen(!open)}
      >
        {initial(user)}
      </button>
      <div class={open ? 'user-menu-panel open' : 'user-menu-panel'} id="user-menu-panel">
        <a
          class="user-menu-name"
          href="/account"
          title={user.login_id}
          aria-current={path === '/account' ? 'page' : undefined}
          data-testid="account-link"
        >
          {user.display_name || user.login_id}
        </a>
        <a class="menu-link" href="/history">
          {t('nav.history')}
        </a>
        <a class="menu-link" href="/bookmarks">
          {t('nav.bookmarks')}
        </a>
        <button
          type="button"
          class="button button-quiet"
          data-testid="logout"
          onClick={() => void logOut().catch(() => location.reload())}
        >
          {t('nav.logout')}
        </button>
      </div>
    </div>
  );
}

function initial(user: User): string {
  return [...(user.display_name || user.login_id)][0]?.toUpperCase() ?? '?';
}
