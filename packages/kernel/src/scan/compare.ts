/** Compares what is in a scan directory with what is supervised, and says what is to be done. It does nothing. */
import type { ScanEntry } from '../ports.ts';

/** A service that is known from earlier scans. */
export interface KnownService {
  readonly identity: string;
  readonly name: Buffer;
  /** False once its name was missing in a scan. */
  readonly present: boolean;
}

/** One thing to do after a scan. */
export type ScanStep =
  /** `instead`: services that had this name, are another directory, and are not in the scan directory any more. */
  | { readonly type: 'begin'; readonly identity: string; readonly name: Buffer; readonly instead: readonly string[] }
  /** Still there: start what of it is not supervised, look for a log/ that came later. */
  | { readonly type: 'revisit'; readonly identity: string; readonly name: Buffer; readonly changedAtNs: bigint }
  | { readonly type: 'vanish'; readonly identity: string }
  | { readonly type: 'complain'; readonly name: Buffer; readonly cause: unknown };

/** The steps that follow from a scan, in the order of the names. */
export function compareScan(entries: readonly ScanEntry[], known: readonly KnownService[]): readonly ScanStep[] {
  const byIdentity = new Map(known.map((service) => [service.identity, service]));
  const found = new Map<string, { readonly name: Buffer; readonly changedAtNs: bigint }>();
  const steps: ScanStep[] = [];
  for (const { name, found: what } of entries.toSorted((a, b) => a.name.compare(b.name))) {
    if (what.type === 'failed') steps.push({ type: 'complain', name, cause: what.cause });
    if (what.type !== 'directory') continue;
    // Two names for one directory are one service; it keeps the name it has.
    const first = found.get(what.identity);
    const keeps = byIdentity.get(what.identity)?.name.equals(name) === true;
    if (first === undefined || keeps) found.set(what.identity, { name, changedAtNs: what.changedAtNs });
  }
  for (const service of known) {
    if (service.present && !found.has(service.identity)) steps.push({ type: 'vanish', identity: service.identity });
  }
  for (const [identity, { name, changedAtNs }] of found) {
    if (byIdentity.has(identity)) steps.push({ type: 'revisit', identity, name, changedAtNs });
    else {
      const instead = known.filter((each) => !found.has(each.identity) && each.name.equals(name));
      steps.push({ type: 'begin', identity, name, instead: instead.map((each) => each.identity) });
    }
  }
  return steps;
}
