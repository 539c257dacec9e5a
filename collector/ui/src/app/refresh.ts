// How often a page may refresh itself.

/** Seconds; 0 is by hand. */
export const REFRESH_CHOICES = [0, 5, 10, 30, 60] as const;

/** The choice that a URL names; anything else is by hand. */
export function readRefresh(text: string | null): number {
  return REFRESH_CHOICES.find((choice) => choice === Number(text ?? "0")) ?? 0;
}
