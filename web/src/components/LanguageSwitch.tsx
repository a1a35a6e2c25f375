import { type Language, language, setLanguage, t } from '../i18n';

const choices: { code: Language; short: string; name: string }[] = [
  { code: 'ko', short: '한', name: '한국어' },
  { code: 'en', short: 'EN', name: 'EN English' },
];

export function LanguageSwitch() {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would need a visible legend
    <div class="language-switch" role="group" aria-label={t('nav.language')}>
      {choices.map(({ code, short, name }) => (
        <button
          key={code}
          type="button"
          lang={code}
          aria-label={name}
          aria-pressed={language.value === code}
          data-testid={`lang-${code}`}
          onClick={() => setLanguage(code)}
        >
          {short}
        </button>
      ))}
    </div>
  );
}
