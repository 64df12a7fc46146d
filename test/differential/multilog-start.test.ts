/** How multilog begins, ours and C's: T43 to T47 and sections 8.3 and 8.7 of the behaviour reference. */
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fatal, isRoot, silent } from '../e2e/support/chain-loading.ts';
import { makeFifo } from '../e2e/support/fifo.ts';
import {
  fedMultilog,
  finishedFiles,
  listing,
  logFiles,
  logged,
  maskStamps,
  modeOf,
  multilogs,
  textOf,
} from '../e2e/support/multilog.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import type { TemporaryDirectory } from '../e2e/support/temporary-directory.ts';

const NOBODY = 65_534;
const modes = [undefined, 0o644, 0o744] as const;

/** What a crash may have left: each file with its mode, or not there. */
interface Leftovers {
  readonly current: number | undefined;
  readonly previous: number | undefined;
  readonly processed: number | undefined;
  readonly state: boolean;
  readonly newstate: boolean;
}

/** Every combination. */
const leftovers: readonly Leftovers[] = modes.flatMap((current) =>
  modes.flatMap((previous) =>
    modes.flatMap((processed) =>
      [true, false].flatMap((state) =>
        [true, false].map((newstate) => ({ current, previous, processed, state, newstate })),
      ),
    ),
  ),
);

const isClean = (mode: number | undefined): boolean => mode !== undefined && (mode & 0o100) !== 0;

/** The files that there are after a start and a line `new`, as `MODE NAME TEXT`. */
function expectedFiles({ current, previous, processed, state, newstate }: Leftovers): readonly string[] {
  const octal = (mode: number): string => mode.toString(8);
  const lock = '600 lock ';
  if (isClean(current)) {
    return [
      '744 current current|new|',
      lock,
      ...(previous === undefined ? [] : [`${octal(previous)} previous previous|`]),
      ...(processed === undefined ? [] : [`${octal(processed)} processed processed|`]),
      ...(state ? ['644 state state|'] : []),
      ...(newstate ? ['644 newstate newstate|'] : []),
    ].toSorted();
  }
  const finished = isClean(processed)
    ? ['744 @STAMP.s processed|']
    : previous === undefined
      ? []
      : [`${octal(previous)} @STAMP.u previous|`];
  return [
    ...finished,
    ...(current === undefined ? [] : [`${octal(current)} @STAMP.u current|`]),
    '744 current new|',
    lock,
    '644 state ',
  ].toSorted();
}

/** The files of a directory in the same form. */
function seenFiles(directory: string): readonly string[] {
  return logFiles(directory)
    .map(({ name, mode, text }) => `${mode} ${maskStamps(name)} ${text.replaceAll('\n', '|')}`)
    .toSorted();
}

describe.concurrent.each(multilogs)('the start of multilog ($name)', (implementation) => {
  const multilog = implementation.path('multilog');
  const log = (here: TemporaryDirectory, words: readonly Argument[], input = ''): Promise<Outcome> =>
    run([multilog, ...words], { cwd: here.path, input });

  describe('what a crash has left', () => {
    test('in every combination: what is finished is kept, what was cut off is marked, the rest goes', async () => {
      await using here = temporaryDirectory();
      for (const [index, each] of leftovers.entries()) {
        const directory = here.makeDirectory(String(index));
        for (const name of ['current', 'previous', 'processed'] as const) {
          const mode = each[name];
          if (mode !== undefined) writeFileSync(`${directory}/${name}`, `${name}\n`, { mode });
        }
        for (const name of ['state', 'newstate'] as const)
          if (each[name]) writeFileSync(`${directory}/${name}`, `${name}\n`);
      }
      const words = leftovers.map((_, index) => `./${index}`);
      expect(await log(here, words, 'new\n')).toEqual(silent);
      for (const [index, each] of leftovers.entries()) {
        expect(seenFiles(here.join(String(index))), JSON.stringify(each)).toEqual(expectedFiles(each));
      }
    });

    test('the older file gets the older name', async () => {
      await using here = temporaryDirectory();
      for (const [name, cut] of [
        ['a', 'previous'],
        ['b', 'processed'],
      ]) {
        here.makeDirectory(name ?? '');
        writeFileSync(here.join(name ?? '', cut ?? ''), 'older\n', { mode: 0o744 });
        writeFileSync(here.join(name ?? '', 'current'), 'younger\n', { mode: 0o644 });
      }
      expect(await log(here, ['./a', './b'], 'new\n')).toEqual(silent);
      for (const name of ['a', 'b']) {
        expect(finishedFiles(here.join(name)).map(({ text }) => text)).toEqual(['older\n', 'younger\n']);
        expect(logged(here.join(name))).toBe('older\nyounger\nnew\n');
      }
    });

    // Others than root can neither read nor write what its mode forbids to them.
    const modes = [0o600, 0o611, 0o666, 0o700, 0o755, 0o777, 0o4744, ...(isRoot ? [0o0, 0o100, 0o200] : [])];
    test.each(modes)('current is clean by the bit 0100 alone: %o', async (mode) => {
      await using here = temporaryDirectory();
      here.makeDirectory('d');
      writeFileSync(here.join('d/current'), 'old\n');
      chmodSync(here.join('d/current'), mode);
      expect(await log(here, ['./d'], 'new\n')).toEqual(silent);
      expect(seenFiles(here.join('d'))).toEqual(
        (isClean(mode)
          ? ['744 current old|new|', '600 lock ']
          : [`${mode.toString(8)} @STAMP.u old|`, '744 current new|', '600 lock ', '644 state ']
        ).toSorted(),
      );
    });

    test('an empty current is kept, too, and an empty line at its end is none', async () => {
      await using here = temporaryDirectory();
      here.makeDirectory('d');
      writeFileSync(here.join('d/current'), '');
      here.makeDirectory('torn');
      writeFileSync(here.join('torn/current'), 'whole\ntor');
      expect(await log(here, ['./d', './torn'], 'new\n')).toEqual(silent);
      expect(seenFiles(here.join('d'))).toContain('644 @STAMP.u ');
      expect(seenFiles(here.join('torn'))).toContain('644 @STAMP.u whole|tor');
      expect(textOf(here.join('torn/current'))).toBe('new\n');
    });

    test('a file that has its new name already loses the old one', async () => {
      await using here = temporaryDirectory();
      const name = `@4${'0'.repeat(23)}.s`;
      for (const each of ['previous', 'processed', 'current']) {
        here.makeDirectory(each);
        writeFileSync(here.join(each, each), 'old\n', { mode: each === 'processed' ? 0o744 : 0o644 });
        linkSync(here.join(each, each), here.join(each, name));
      }
      expect(await log(here, ['./previous', './processed', './current'], 'new\n')).toEqual(silent);
      for (const each of ['previous', 'processed', 'current']) {
        expect(finishedFiles(here.join(each)).map((file) => [file.name, file.text])).toEqual([[name, 'old\n']]);
        expect(readdirSync(here.join(each))).toEqual([name, 'current', 'lock', 'state']);
      }
    });

    test('names and times of what is there do not change', async () => {
      await using here = temporaryDirectory();
      here.makeDirectory('d');
      writeFileSync(here.join('d/current'), 'old\n', { mode: 0o600 });
      utimesSync(here.join('d/current'), 1_000_000, 1_000_000);
      for (const name of ['my file', 'README', '@short']) writeFileSync(here.join('d', name), 'mine');
      expect(await log(here, ['n2', './d'])).toEqual(silent);
      expect(listing(here.join('d'))).toEqual([
        '600 @STAMP.u',
        '644 @short',
        '644 README',
        '744 current',
        '600 lock',
        '644 my file',
        '644 state',
      ]);
    });

    test('a second clean start goes on, and keeps the state as it is', async () => {
      await using here = temporaryDirectory();
      for (const line of ['one\n', 'two\n', 'three']) expect(await log(here, ['./d'], line)).toEqual(silent);
      expect(seenFiles(here.join('d'))).toEqual(['600 lock ', '644 state ', '744 current one|two|three|']);
    });
  });

  describe('what it cannot begin with', () => {
    /** Directories, each with what is wrong with it. */
    const broken: readonly (readonly [what: string, (directory: string) => void, complaint: string])[] = [
      ['a missing parent', () => {}, 'unable to open directory ./parent/d: file does not exist'],
      ['a file', (d) => writeFileSync(d, ''), 'unable to open directory ./d: not a directory'],
      ['a link to nothing', (d) => symlinkSync('nothing', d), 'unable to open directory ./d: file does not exist'],
      ['a loop', (d) => symlinkSync('d', d), 'unable to open directory ./d: symbolic link loop'],
      ['a FIFO', (d) => makeFifo(d), 'unable to open directory ./d: not a directory'],
      [
        'a lock that is a directory',
        (d) => mkdirSync(`${d}/lock`, { recursive: true }),
        'unable to lock directory ./d: is a directory',
      ],
      ['a lock that is a FIFO', (d) => makeFifo(`${d}/lock`), 'unable to lock directory ./d: device not configured'],
      [
        'a lock that is a loop',
        (d) => (mkdirSync(d), symlinkSync('lock', `${d}/lock`)),
        'unable to lock directory ./d: symbolic link loop',
      ],
      [
        'a current that is a loop',
        (d) => (mkdirSync(d), symlinkSync('current', `${d}/current`)),
        'unable to stat ./d/current: symbolic link loop',
      ],
      [
        'a current that is a directory',
        (d) => mkdirSync(`${d}/current`, { recursive: true }),
        'unable to append to ./d/current: is a directory',
      ],
      [
        'a current that is a clean FIFO',
        (d) => (makeFifo(`${d}/current`), chmodSync(`${d}/current`, 0o744)),
        'unable to append to ./d/current: device not configured',
      ],
      [
        'a current that is a link to where nothing can be',
        (d) => (mkdirSync(d), symlinkSync('no/such', `${d}/current`)),
        'unable to write to ./d/current: file does not exist',
      ],
      [
        'a processed that is a loop',
        (d) => (mkdirSync(d), symlinkSync('processed', `${d}/processed`)),
        'unable to stat ./d/processed: symbolic link loop',
      ],
      [
        'a state that is a directory',
        (d) => mkdirSync(`${d}/state`, { recursive: true }),
        'unable to write to ./d/state: is a directory',
      ],
    ];

    test.each(broken)('%s: says so, exits 111 and reads nothing', async (what, breakIt, complaint) => {
      await using here = temporaryDirectory();
      breakIt(here.join('d'));
      writeFileSync(here.join('input'), 'kept\n');
      const name = what === 'a missing parent' ? './parent/d' : './d';
      const script = '"$0" e ./first "$1" ./last <input; echo $?; { "$0" e ./other "$1"; cat; } <input 2>&1';
      expect(await run(['/bin/sh', '-c', script, multilog, name], { cwd: here.path })).toEqual({
        ...silent,
        stdout: `111\nmultilog: fatal: ${complaint}\nkept\n`,
        stderr: `multilog: fatal: ${complaint}\n`,
      });
      // The one before is as it would be while it runs, and there is none behind.
      expect(listing(here.join('first'))).toEqual(['644 current', '600 lock', '644 state']);
      expect(readdirSync(here.path)).not.toContain('last');
      expect(await log(here, ['./first'], 'x')).toEqual(silent);
      expect(listing(here.join('first'))).toEqual(['644 @STAMP.u', '744 current', '600 lock', '644 state']);
    });

    test('the same directory twice, however it is called', async () => {
      await using here = temporaryDirectory();
      symlinkSync('d', here.join('link'));
      for (const name of ['./d', './d/', '././d', './link', here.join('d')]) {
        expect(await log(here, ['./d', name], 'x\n')).toEqual(
          fatal('multilog', `unable to lock directory ${name}: temporary failure`),
        );
      }
      expect(readFileSync(here.join('d/current'), 'latin1')).toBe('');
    });

    test('a directory that another has, until it ends', async () => {
      await using fed = fedMultilog(implementation, ['./d']);
      fed.pipe.write('one\n');
      await fed.holds('d/current', 'one\n');
      for (const other of multilogs) {
        expect(await run([other.path('multilog'), './d'], { cwd: fed.here.path })).toEqual(
          fatal('multilog', 'unable to lock directory ./d: temporary failure'),
        );
      }
      expect(await run([multilog, './e', fed.here.join('d')], { cwd: fed.here.path })).toEqual(
        fatal('multilog', `unable to lock directory ${fed.here.join('d')}: temporary failure`),
      );
      expect(listing(fed.here.join('d'))).toEqual(['644 current', '600 lock', '644 state']);
      fed.pipe.end();
      expect(await fed.ended()).toEqual({ code: 0, signal: undefined });
      for (const other of multilogs) {
        expect(await run([other.path('multilog'), './d'], { cwd: fed.here.path, input: 'two\n' })).toEqual(silent);
      }
      expect(textOf(fed.here.join('d/current'))).toBe(`one\n${'two\n'.repeat(multilogs.length)}`);
    });

    test('a lock of flock(2) on its file, which keeps its mode and its bytes', async () => {
      await using here = temporaryDirectory();
      here.makeDirectory('d');
      writeFileSync(here.join('d/lock'), 'mine\n', { mode: 0o640 });
      expect(await run(['/usr/bin/flock', 'd/lock', multilog, './d'], { cwd: here.path })).toEqual(
        fatal('multilog', 'unable to lock directory ./d: temporary failure'),
      );
      expect(await log(here, ['./d'])).toEqual(silent);
      expect([textOf(here.join('d/lock')), modeOf(here.join('d/lock'))]).toEqual(['mine\n', '640']);
    });

    describe.runIf(canBeNobody)('as an ordinary account', () => {
      const asked = (here: TemporaryDirectory, words: readonly string[], input = 'x\n'): Promise<Outcome> =>
        run(asNobody([multilog, ...words]), { cwd: here.path, input });
      /** A directory that is nobody's, with a file of root in it. */
      const own = (name: string, mode: number): TemporaryDirectory => {
        const here = temporaryDirectory();
        chownSync(here.makeDirectory('d'), NOBODY, NOBODY);
        writeFileSync(here.join('d', name), 'old\n');
        chmodSync(here.join('d', name), mode);
        return here;
      };

      test('a directory that it may not make, read or write', async () => {
        await using here = temporaryDirectory();
        chmodSync(here.makeDirectory('closed'), 0o700);
        chmodSync(here.makeDirectory('readable'), 0o755);
        chmodSync(here.makeDirectory('searchable'), 0o711);
        for (const [name, complaint] of [
          ['new', 'unable to open directory ./new: file does not exist'],
          ['closed', 'unable to open directory ./closed: access denied'],
          ['closed/x', 'unable to open directory ./closed/x: access denied'],
          ['searchable', 'unable to open directory ./searchable: access denied'],
          ['readable', 'unable to lock directory ./readable: access denied'],
        ] as const) {
          expect(await asked(here, [`./${name}`])).toEqual(fatal('multilog', complaint));
        }
      });

      test('a start directory that it may not read', async () => {
        await using here = temporaryDirectory();
        chmodSync(here.makeDirectory('closed'), 0o711);
        expect(await run(asNobody([multilog, './d']), { cwd: here.join('closed'), input: 'x' })).toEqual(
          fatal('multilog', 'unable to switch to current directory: access denied'),
        );
      });

      test('a current that it may not append to', async () => {
        await using here = own('current', 0o744);
        expect(await asked(here, ['./d'])).toEqual(fatal('multilog', 'unable to append to ./d/current: access denied'));
        expect(textOf(here.join('d/current'))).toBe('old\n');
      });

      test('a current whose mode it may not set', async () => {
        await using here = own('current', 0o766);
        expect(await asked(here, ['./d'])).toEqual(
          fatal('multilog', 'unable to set mode of ./d/current: permission denied'),
        );
      });

      test('a lock that it may not write', async () => {
        await using here = own('lock', 0o644);
        expect(await asked(here, ['./d'])).toEqual(fatal('multilog', 'unable to lock directory ./d: access denied'));
      });

      test('a directory in which it may make nothing but has all files: fails at the state', async () => {
        await using here = temporaryDirectory();
        here.makeDirectory('d');
        writeFileSync(here.join('d/lock'), '');
        chmodSync(here.join('d/lock'), 0o666);
        expect(await asked(here, ['./d'])).toEqual(fatal('multilog', 'unable to write to ./d/state: access denied'));
        writeFileSync(here.join('d/state'), '');
        chmodSync(here.join('d/state'), 0o666);
        expect(await asked(here, ['./d'])).toEqual(fatal('multilog', 'unable to write to ./d/current: access denied'));
      });

      test('what it makes is its own, and it needs no more than its own directory', async () => {
        await using here = temporaryDirectory();
        chownSync(here.makeDirectory('d'), NOBODY, NOBODY);
        chmodSync(here.join('d'), 0o700);
        expect(await asked(here, ['s4096', './d'], 'x\n'.repeat(3000))).toEqual(silent);
        expect(listing(here.join('d'))).toContain('744 @STAMP.s');
        expect(logged(here.join('d'))).toBe('x\n'.repeat(3000));
      });
    });

    test('leftovers that it cannot name anew or remove are waited for', async () => {
      for (const [name, complaint] of [
        ['current', 'unable to remove ./d/current, pausing: is a directory'],
        ['previous', 'unable to remove ./d/previous, pausing: is a directory'],
      ] as const) {
        await using fed = fedMultilog(implementation, ['./d'], {
          prepare: (here) => chmodSync(here.makeDirectory(`d/${name}`), 0o600),
        });
        await fed.says(`multilog: warning: ${complaint}\n`);
      }
    });
  });

  describe('what its input may be', () => {
    test.each([
      ['closed', '<&-', ''],
      ['a directory', '</', ''],
      ['/dev/null', '</dev/null', ''],
      ['a file', '<input', 'one\ntwo\n'],
      ['a file from its middle', '<input', 'two\n', 'read line; '],
      ['an empty file', '<empty', ''],
      ['open for writing alone', '>>input', '', '', '0'],
    ])('%s', async (_, redirection, text, before = '', descriptor = '') => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('input'), 'one\ntwo');
      writeFileSync(here.join('empty'), '');
      const script = `{ ${before}"$0" t =st ./d '-*' e; } ${descriptor}${redirection}`;
      expect(await run(['/bin/sh', '-c', script, multilog], { cwd: here.path })).toEqual(silent);
      expect(maskStamps(textOf(here.join('d/current')) ?? '').replaceAll('@STAMP ', '')).toBe(text);
      expect(listing(here.join('d'))).toEqual(['744 current', '600 lock', '644 state']);
      expect(textOf(here.join('input'))).toBe('one\ntwo');
    });

    test('a terminal, until its end-of-file character', async () => {
      await using here = temporaryDirectory();
      const argv = ['/usr/bin/script', '-qec', `stty -echo; "${multilog}" ./d`, '/dev/null'];
      const input = 'one\ntwo\n\u0004';
      const { code, stdout } = await run(argv, { cwd: here.path, input, timeoutMs: 20_000 });
      expect({ code, text: textOf(here.join('d/current')) }, stdout).toEqual({ code: 0, text: 'one\ntwo\n' });
    });

    test('standard output does not matter: nothing is written to it', async () => {
      await using here = temporaryDirectory();
      for (const redirection of ['>&-', '</dev/null >&-', '>/dev/full', '>&- 2>&-', '<&- >&- 2>&-']) {
        const script = `echo x | { "$0" =st ./d ${redirection}; echo $?; }`;
        expect(await run(['/bin/sh', '-c', script, multilog], { cwd: here.path })).toEqual({
          ...silent,
          stdout: '0\n',
        });
      }
      expect(textOf(here.join('d/current'))).toBe('x\nx\nx\n');
    });

    test('other descriptors are left alone', async () => {
      await using here = temporaryDirectory();
      const script = 'exec 3>three 7<input 9>>nine; "$0" ./d <input; echo 3 >&3; cat <&7; echo 9 >&9';
      writeFileSync(here.join('input'), 'one\n');
      expect(await run(['/bin/sh', '-c', script, multilog], { cwd: here.path })).toEqual({
        ...silent,
        stdout: 'one\n',
      });
      expect(['three', 'nine'].map((name) => textOf(here.join(name)))).toEqual(['3\n', '9\n']);
    });
  });
});
