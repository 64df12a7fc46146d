/** Who may change code that is run: for root, all the way up; for others, the file and its directory. */
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { testDirectory } from './directory.test-support.ts';
import { ownershipProblem } from './ownership.ts';

const ROOT = 0;
const NOBODY = 65_534;
const OTHER = 65_533;

/** `a/b/x.js` in a directory below /tmp, with these owners and modes, as `uid` finds it. */
function problemFor(
  uid: number,
  { file, dir }: { readonly file?: Ownership; readonly dir?: Ownership },
): string | undefined {
  using place = testDirectory({ 'a/b/x.js': '' });
  const path = join(place.path, 'a/b/x.js');
  const apply = (name: string, given: Ownership = {}, usual: number): void => {
    chownSync(name, given.owner ?? ROOT, given.group ?? ROOT);
    chmodSync(name, given.mode ?? usual);
  };
  apply(path, file, 0o644);
  apply(dirname(dirname(path)), dir, 0o755);
  if (uid !== ROOT) apply(dirname(path), dir, 0o755);
  return ownershipProblem({ path, uid })?.replaceAll(place.path, 'DIR');
}

interface Ownership {
  readonly owner?: number;
  readonly group?: number;
  readonly mode?: number;
}

describe.skipIf(process.geteuid?.() !== ROOT)('ownership, which only root can change to try it', () => {
  test.each<[string, Parameters<typeof problemFor>[1]]>([
    ["root's, in root's directories", {}],
    ['whose directory the group root may write', { dir: { mode: 0o775 } }],
    ['in a sticky directory', { dir: { mode: 0o1777 } }],
  ])('root may run a file that is %s', (_what, given) => {
    expect(problemFor(ROOT, given)).toBeUndefined();
  });

  test.each<[Parameters<typeof problemFor>[1], string]>([
    [{ file: { owner: NOBODY } }, 'it belongs to user id 65534, and would be run as root: chown root DIR/a/b/x.js'],
    [{ file: { mode: 0o664 } }, 'it may be written by its group, and would be run as root: chmod go-w DIR/a/b/x.js'],
    [
      { file: { owner: NOBODY, mode: 0o666 } },
      'it belongs to user id 65534 and may be written by its group and others, and would be run as root: chown root DIR/a/b/x.js; chmod go-w DIR/a/b/x.js',
    ],
    // Not the directory that it lies in, but the one above: whoever may write there can rename the other away.
    [
      { dir: { owner: NOBODY } },
      'the directory DIR/a belongs to user id 65534, and would be run as root: chown root DIR/a',
    ],
    [
      { dir: { mode: 0o757 } },
      'the directory DIR/a may be written by others, and would be run as root: chmod go-w DIR/a',
    ],
    [
      { dir: { mode: 0o775, group: NOBODY } },
      'the directory DIR/a may be written by its group, and would be run as root: chmod go-w DIR/a',
    ],
    [
      { dir: { owner: NOBODY, mode: 0o1777 } },
      'the directory DIR/a belongs to user id 65534, and would be run as root: chown root DIR/a',
    ],
  ])('root does not run %j', (given, message) => {
    expect(problemFor(ROOT, given)).toBe(message);
  });

  test.each<[string, Parameters<typeof problemFor>[1]]>([
    ["root's", {}],
    ['their own', { file: { owner: NOBODY }, dir: { owner: NOBODY } }],
    ["their group's too", { file: { owner: NOBODY, mode: 0o664 }, dir: { mode: 0o775 } }],
    ["in another's directory, as of a mount", { dir: { owner: OTHER } }],
    ['in a sticky directory', { dir: { mode: 0o1777 } }],
  ])('others may run a file that is %s', (_what, given) => {
    expect(problemFor(NOBODY, given)).toBeUndefined();
  });

  test.each<[Parameters<typeof problemFor>[1], string]>([
    [
      { file: { owner: OTHER } },
      'it belongs to user id 65533, and would be run as user id 65534: chown 65534 DIR/a/b/x.js',
    ],
    [
      { file: { mode: 0o646 } },
      'it may be written by others, and would be run as user id 65534: chmod go-w DIR/a/b/x.js',
    ],
    [
      { dir: { mode: 0o757 } },
      'the directory DIR/a/b may be written by others, and would be run as user id 65534: chmod go-w DIR/a/b',
    ],
  ])('others do not run %j', (given, message) => {
    expect(problemFor(NOBODY, given)).toBe(message);
  });
});

test('what a user has made is safe for that user', () => {
  using place = testDirectory({ 'x.js': '' });
  mkdirSync(join(place.path, 'in'));
  expect(ownershipProblem({ path: join(place.path, 'x.js'), uid: process.geteuid?.() ?? ROOT })).toBeUndefined();
});
