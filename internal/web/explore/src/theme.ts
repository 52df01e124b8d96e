/** What is chosen: as the system is, or one of the two. */
export type Theme = 'system' | 'light' | 'dark';

const stored = 'logfence.theme';
const system = matchMedia('(prefers-color-scheme: dark)');
const listeners = new Set<() => void>();

export function theme(): Theme {
  const chosen = localStorage.getItem(stored);
  return chosen === 'light' || chosen === 'dark' ? chosen : 'system';
}

export function setTheme(chosen: Theme): void {
  if (chosen === 'system') localStorage.removeItem(stored);
  else localStorage.setItem(stored, chosen);
  apply();
}

/** Calls back when colors change, for what is drawn on a canvas. Returns how to stop. */
export function onTheme(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

/** The value of one of theme.css's colors, such as `--accent`, as it is now. */
export function color(name: `--${string}`): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function apply(): void {
  const chosen = theme();
  document.documentElement.dataset['theme'] = chosen === 'system' ? (system.matches ? 'dark' : 'light') : chosen;
  listeners.forEach((changed) => changed());
}

system.addEventListener('change', apply);
