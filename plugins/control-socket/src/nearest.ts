/** The name that was meant, perhaps: at a cost that no request can drive up. */
import { distance } from 'fastest-levenshtein';

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
    const wrong = distance(word.toLowerCase(), name.toLowerCase());
    if (wrong >= least) continue;
    least = wrong;
    nearest = name;
  }
  return nearest;
}
