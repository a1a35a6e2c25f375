import { useEffect, useRef } from 'preact/hooks';
import { isMissing } from '../../api/errors';
import { endLogin, type LoginSession, listLogins } from '../../api/logins';
import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon } from '../../components/Icon';
import { language } from '../../i18n';
import { v } from '../../i18n/viewer';
import { nameOfAgent } from '../../lib/deviceName';
import { formatSince } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { useSaving } from './saving';

/** The viewer's login sessions, each with a button that ends it. `round` changes when they may have changed. */
export function LoginsPanel({ round }: { round: number }) {
  const [loaded, reload] = useLoad((signal) => listLogins({ signal }), [round]);
  const saving = useSaving();
  const heading = useRef<HTMLHeadingElement>(null);
  const logins = loaded.data;
  const others = logins?.filter((login) => !login.is_current) ?? [];

  // The button that had the focus goes with its line.
  useEffect(() => {
    if (saving.said) heading.current?.focus();
  }, [saving.said]);

  const end = (ended: LoginSession[], text: string) =>
    saving.save(async () => {
      for (const login of ended) {
        await endLogin(login.id).catch((error) => {
          // It may have ended meanwhile.
          if (!isMissing(error)) throw error;
        });
      }
      reload();
      return text;
    });

  return (
    <section class="panel" aria-labelledby="logins" data-testid="logins-panel">
      <div class="section-head">
        <h2 id="logins" ref={heading} tabIndex={-1}>
          {v('account.logins')}
        </h2>
        {logins && <span class="count">{logins.length}</span>}
      </div>
      <p class="quiet">{v('account.loginsText')}</p>
      {loaded.phase === 'failed' && <ErrorMessage error={loaded.error} onRetry={reload} retries />}
      {saving.error !== null && <ErrorMessage error={saving.error} />}
      <p class="approved" role="status">
        {saving.said && (
          <>
            <Icon name="check" size={18} /> {saving.said}
          </>
        )}
      </p>
      {logins?.length === 0 && <p class="quiet">{v('account.loginsNone')}</p>}
      <ul class="people" aria-busy={loaded.phase === 'loading'}>
        {logins?.map((login) => {
          const name = nameOfAgent(login.user_agent);
          return (
            <li key={login.id} data-testid="login-session">
              <LoginText login={login} name={name} />
              {login.is_current ? (
                <span class="chip chip-active">{v('account.thisLogin')}</span>
              ) : (
                <button
                  type="button"
                  class="button"
                  aria-label={v('account.endLoginOf', { device: name })}
                  data-testid="end-login"
                  onClick={() => void end([login], v('account.loginEnded', { device: name }))}
                >
                  {v('account.endLogin')}
                </button>
              )}
            </li>
          );
        })}
      </ul>
      {others.length > 1 && (
        <button
          type="button"
          class="button end-others"
          data-testid="end-others"
          onClick={() => void end(others, v('account.othersEnded', { count: others.length }))}
        >
          {v('account.endOthers')}
        </button>
      )}
    </section>
  );
}

function LoginText({ login, name }: { login: LoginSession; name: string }) {
  return (
    <span class="person">
      <strong>{name}</strong>
      <span>
        {v('account.loginBegan', {
          began: formatSince(login.began_at, language.value),
          used: formatSince(login.last_used_at, language.value),
        })}
      </span>
      {login.client_address && <span>{v('account.loginFrom', { address: login.client_address })}</span>}
    </span>
  );
}
