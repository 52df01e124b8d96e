import type { Me } from '@logfence/client';
import { useEffect, useState } from 'preact/hooks';

import { setTheme, theme, type Theme } from '../theme';
import { GrantChoice } from './Grants';

export interface HeaderProps {
  me: Me;
  name?: string | undefined;
  /** The one tenant that is looked at; undefined for all of them. */
  tenant: string | undefined;
  /** In milliseconds since 1970; undefined where a new token is had by itself. */
  expires: number | undefined;
  onTenant: (tenant: string | undefined) => void;
  onGrant: (name: string) => void;
  onSignIn: () => void;
  onSignOut: () => void;
  onHelp: () => void;
}

/** The user, the tenant, and when the session ends. */
export function Header({ me, name, tenant, expires, onTenant, onGrant, onSignIn, onSignOut, onHelp }: HeaderProps) {
  return (
    <header class="a-header">
      <h1 class="a-brand">logfence</h1>
      <GrantChoice me={me} onGrant={onGrant} />
      <TenantChoice tenants={me.tenants} tenant={tenant} onTenant={onTenant} />
      <span class="a-spring" />
      {expires !== undefined && <Expiry at={expires} onSignIn={onSignIn} />}
      <span class="a-who" title={me.subject ?? name}>
        {name ?? me.subject ?? 'signed in'}
      </span>
      <ThemeSwitch />
      <button type="button" class="a-icon" aria-label="Keyboard shortcuts" title="Keyboard shortcuts  ?" onClick={onHelp}>
        ?
      </button>
      <button type="button" class="a-quiet" onClick={onSignOut}>
        Sign out
      </button>
    </header>
  );
}

interface TenantChoiceProps {
  tenants: string[];
  tenant: string | undefined;
  onTenant: HeaderProps['onTenant'];
}

function TenantChoice({ tenants, tenant, onTenant }: TenantChoiceProps) {
  if (tenants.length === 0) return <AnyTenant tenant={tenant} onTenant={onTenant} />;
  if (tenants.length === 1 && (tenant === undefined || tenant === tenants[0])) {
    return (
      <span class="a-tenant">
        <span class="a-muted">Tenant</span> {tenants[0]}
      </span>
    );
  }
  const foreign = tenant !== undefined && !tenants.includes(tenant);
  return (
    <label class="a-tenant">
      <span class="a-muted">Tenant</span>{' '}
      <select aria-label="Tenant" value={tenant ?? ''} onChange={(e) => onTenant(e.currentTarget.value || undefined)}>
        <option value="">{tenants.length > 1 ? `All (${tenants.length})` : tenants[0]}</option>
        {tenants.length > 1 &&
          tenants.map((t) => (
            <option key={t} value={t}>
              {t}
            </option>
          ))}
        {foreign && <option value={tenant}>{tenant} (not yours)</option>}
      </select>
    </label>
  );
}

/** For grants of every tenant: there is no list to choose from. */
function AnyTenant({ tenant, onTenant }: Omit<TenantChoiceProps, 'tenants'>) {
  return (
    <label class="a-tenant">
      <span class="a-muted">Tenant</span>{' '}
      <input
        aria-label="Tenant"
        placeholder="All"
        value={tenant ?? ''}
        onChange={(e) => onTenant(e.currentTarget.value.trim() || undefined)}
      />
    </label>
  );
}

/** How many minutes before a token expires it is warned of. */
const soon = 5;

function Expiry({ at, onSignIn }: { at: number; onSignIn: () => void }) {
  const [now, setNow] = useState(Date.now());
  const left = at - now;
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), left < 120_000 ? 1000 : 15_000);
    return () => clearInterval(timer);
  }, [left < 120_000]);
  if (left <= 0) {
    return (
      <span class="a-expiry a-expired" role="alert">
        Session ended
        <button type="button" class="a-small" onClick={onSignIn}>
          Sign in again
        </button>
      </span>
    );
  }
  if (left > soon * 60_000) {
    return (
      <span class="a-expiry a-muted" title={`The session ends at ${new Date(at).toLocaleTimeString()}`}>
        Session ends in {spoken(left)}
      </span>
    );
  }
  return (
    <span class="a-expiry a-soon">
      <span role="status">Session ends in {spoken(left)}</span>
      <button type="button" class="a-small" onClick={onSignIn}>
        Renew
      </button>
    </span>
  );
}

function spoken(ms: number): string {
  if (ms < 60_000) return `${Math.ceil(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.ceil(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h`;
}

const next: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const signs: Record<Theme, string> = { system: '◐', light: '☀', dark: '☾' };

function ThemeSwitch() {
  const [chosen, setChosen] = useState(theme);
  const label = `Theme: ${chosen}`;
  return (
    <button
      type="button"
      class="a-icon"
      aria-label={label}
      title={label}
      onClick={() => {
        setTheme(next[chosen]);
        setChosen(next[chosen]);
      }}
    >
      {signs[chosen]}
    </button>
  );
}
