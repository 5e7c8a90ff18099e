/** What label values beyond the bound become. */
const beyond = 'other';

/**
 * Lets the first `max` distinct values of a label through, and makes `other` of those that come later. For names that
 * code outside of this repository chooses: one with an id in it would be a series for each id.
 */
export function createBoundedLabel(max: number): (value: string) => string {
  const known = new Set<string>();
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= max) return beyond;
    known.add(value);
    return value;
  };
}
