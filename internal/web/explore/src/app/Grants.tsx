import type { Me } from '@logfence/client';

const stored = 'logfence.grant';

/** The grant that the user has chosen in this tab. */
export const chosenGrant = {
  get: (): string | undefined => sessionStorage.getItem(stored) ?? undefined,
  set: (name: string | undefined): void => (name ? sessionStorage.setItem(stored, name) : sessionStorage.removeItem(stored)),
};

/** Several grants apply to the user, and none is the default. */
export function GrantPage({ names, busy, onGrant }: { names: readonly string[]; busy: boolean; onGrant: (name: string) => void }) {
  return (
    <main class="a-signin">
      <h1>logfence</h1>
      <p>You have several grants. Choose one; you can switch to another at the top of the page.</p>
      {names.map((name) => (
        <button key={name} type="button" class="a-primary a-wide" disabled={busy} onClick={() => onGrant(name)}>
          {name}
        </button>
      ))}
    </main>
  );
}

/** The switch between the user's grants; nothing where there is no choice. */
export function GrantChoice({ me, onGrant }: { me: Me; onGrant: (name: string) => void }) {
  const grants = me.grants ?? [];
  if (grants.length < 2) return null;
  const chosen = grants.find((grant) => grant.chosen)?.names[0];
  return (
    <label class="a-tenant">
      <span class="a-muted">Grant</span>{' '}
      <select aria-label="Grant" value={chosen} onChange={(e) => onGrant(e.currentTarget.value)}>
        {grants.map((grant) => (
          <option key={grant.names[0]} value={grant.names[0]} title={grant.selector}>
            {grant.names.join(' + ')}
          </option>
        ))}
      </select>
    </label>
  );
}
