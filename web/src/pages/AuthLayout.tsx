import type { ComponentChildren } from 'preact';
import { Brand } from '../components/Header';
import { LanguageSwitch } from '../components/LanguageSwitch';
import { PageHeading } from '../components/PageHeading';
import { t } from '../i18n';

interface Props {
  title: string;
  intro: string;
  children: ComponentChildren;
}

export function AuthLayout({ title, intro, children }: Props) {
  return (
    <div class="auth">
      <div class="auth-beams" aria-hidden="true" />
      <header class="auth-header">
        <Brand />
        <LanguageSwitch />
      </header>
      <main class="auth-main" id="main">
        <p class="auth-tagline">{t('app.tagline')}</p>
        <section class="auth-card" aria-labelledby="auth-title">
          <div class="bulbs" aria-hidden="true" />
          <PageHeading id="auth-title">{title}</PageHeading>
          <p class="auth-intro">{intro}</p>
          {children}
        </section>
      </main>
    </div>
  );
}
