/** The name that was meant, perhaps: at a cost that no request can drive up. */

/** So many letters may be wrong. */
const MOST_WRONG = 2;
/** Longer words are not looked at. */
const LONGEST = 64;

/** The nearest of the names: one that differs in case alone, or in one or two letters; `undefined`: none is near. */
export function nearestName(word: string, names: readonly string[]): string | undefined {
  if (word.length > LONGEST || word.length < 2) return undefined;
  const most = word.length < 5 ? 1 : MOST_WRONG;
  let nearest: string | undefined;
  let least = most + 1;
  for (const name of names) {
    if (Math.abs(name.length - word.length) > most) continue;
    const distance = distanceOf(word.toLowerCase(), name.toLowerCase(), least - 1);
    if (distance >= least) continue;
    least = distance;
    nearest = name;
  }
  return nearest;
}

/** How many letters must be added, left out or changed; more than `most` is not counted any further. */
function distanceOf(a: string, b: string, most: number): number {
  const far = most + 1;
  let row = Array.from({ length: b.length + 1 }, (_, index) => Math.min(index, far));
  for (let i = 1; i <= a.length; i++) {
    const next: number[] = [];
    if (i <= most) next[0] = i;
    let least = next[0] ?? far;
    // Farther from the diagonal there are more than `most` letters too many.
    for (let j = Math.max(1, i - most); j <= Math.min(b.length, i + most); j++) {
      const changed = (row[j - 1] ?? far) + Number(a[i - 1] !== b[j - 1]);
      const distance = Math.min(changed, (row[j] ?? far) + 1, (next[j - 1] ?? far) + 1, far);
      next[j] = distance;
      least = Math.min(least, distance);
    }
    if (least > most) return far;
    row = next;
  }
  return row[b.length] ?? far;
}
