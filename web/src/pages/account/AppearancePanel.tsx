import { LanguageSwitch } from '../../components/LanguageSwitch';
import { v } from '../../i18n/viewer';
import { setTheme, THEMES, theme } from '../../lib/theme';

/** Language and theme, which this browser keeps. */
export function AppearancePanel() {
  return (
    <section class="panel" aria-labelledby="appearance">
      <h2 id="appearance">{v('account.appearance')}</h2>
      <p class="quiet">{v('account.appearanceText')}</p>
      <dl class="choices">
        <div>
          <dt>{v('account.language')}</dt>
          <dd>
            <LanguageSwitch />
          </dd>
        </div>
        <div>
          <dt>{v('account.theme')}</dt>
          <dd>
            {/* biome-ignore lint/a11y/useSemanticElements: a fieldset would need a visible legend */}
            <div class="language-switch" role="group" aria-label={v('account.theme')}>
              {THEMES.map((each) => (
                <button
                  key={each}
                  type="button"
                  aria-pressed={theme.value === each}
                  data-testid={`theme-${each}`}
                  onClick={() => setTheme(each)}
                >
                  {v(`account.theme.${each}`)}
                </button>
              ))}
            </div>
          </dd>
        </div>
      </dl>
    </section>
  );
}
