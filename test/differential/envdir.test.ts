/** envdir, ours and C's: transcripts T63 to T67 and section 16 of the behaviour reference. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { describeExecSearch, fatal, silent, withEnvironment } from '../e2e/support/chain-loading.ts';
import { makeFifo } from '../e2e/support/fifo.ts';
import { implementations } from '../e2e/support/implementations.ts';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';
import { joinBytes, oddNames, shownBytes } from '../e2e/support/odd-names.ts';
import { cleanEnvironment, run } from '../e2e/support/run.ts';
import type { Argument, Outcome } from '../e2e/support/run.ts';
import { temporaryDirectory } from '../e2e/support/temporary-directory.ts';
import type { TemporaryDirectory } from '../e2e/support/temporary-directory.ts';

const USAGE = 'envdir: usage: envdir dir child\n';

/** A directory with a directory `d` in it that has these files. */
function withFiles(files: readonly (readonly [name: Argument, content: Argument])[]): TemporaryDirectory {
  const here = temporaryDirectory();
  here.makeDirectory('d');
  for (const [name, content] of files) writeFileSync(joinBytes(here.path, '/d/', name), content);
  return here;
}

/** What a file makes of the variable `V`, which was `V=old`. */
const values: readonly (readonly [what: string, content: Argument, value: string | undefined])[] = [
  ['a line', 'one\n', 'one'],
  ['a line that does not end', 'one', 'one'],
  ['the first of two lines', 'one\ntwo\n', 'one'],
  ['a line before an empty one', 'one\n\n', 'one'],
  ['nothing', '', undefined],
  ['a newline', '\n', ''],
  ['newlines', '\n\n', ''],
  ['an empty line before another', '\ntwo\n', ''],
  ['blanks', ' \t ', ''],
  ['blanks and a newline', ' \t \n', ''],
  ['blanks before a line', '\n \n', ''],
  ['blanks at the end', 'tr \t \n', 'tr'],
  ['blanks at the end of what does not end', 'tr\t\t  ', 'tr'],
  ['blanks before and between', ' \ta \t b\n', ' \ta \t b'],
  ['a carriage return', 'one\r\n', 'one\r'],
  ['blanks before a carriage return', 'one \r\n', 'one \r'],
  ['other white space', 'one\v\f\n', 'one\v\f'],
  ['a NUL', 'n\0x', 'n\nx'],
  ['NULs', '\0a\0\0b\n', '\na\n\nb'],
  ['a NUL at the end', 'a\0\n', 'a\n'],
  ['a NUL alone', '\0', '\n'],
  ['blanks before a NUL', 'a \0\n', 'a \n'],
  ['blanks after a NUL', 'a\0 \n', 'a\n'],
  ['a NUL in the second line', 'a\nb\0c', 'a'],
  ['an equals sign', 'a=b', 'a=b'],
  ['an equals sign first', '=b', '=b'],
  ['a comment', '# not', '# not'],
  ['quotes and signs', `"a" 'b' $c \\n`, `"a" 'b' $c \\n`],
  ['bytes that are not UTF-8', Uint8Array.of(0xff, 0xfe, 0x80, 0xc3, 0x28, 0x0a), '\xff\xfe\x80\xc3('],
  ['a byte order mark', Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), '\xef\xbb\xbfa'],
  ['a no-break space at the end', Uint8Array.of(0x61, 0xc2, 0xa0, 0x0a), 'a\xc2\xa0'],
  [
    'every byte',
    Uint8Array.from({ length: 245 }, (_, index) => index + 11),
    shownBytes(Uint8Array.from({ length: 245 }, (_, index) => index + 11)),
  ],
  ['100,000 bytes', `${'x'.repeat(100_000)}\n`, 'x'.repeat(100_000)],
  ['a line before 2,000,000 bytes', `one\n${'x'.repeat(2_000_000)}`, 'one'],
  ['a line before 200,000 blanks', `one${' '.repeat(200_000)}\ntwo`, 'one'],
];

describe.each(implementations)('envdir ($name)', (implementation) => {
  const envdir = implementation.path('envdir');
  describeExecSearch(implementation, 'envdir');

  /** The environment that a program finds, behind `envdir d`; its order is nobody's business. */
  const environmentOf = async (here: TemporaryDirectory, strings: readonly Argument[]): Promise<readonly string[]> => {
    const argv = withEnvironment(strings, [envdir, 'd', '/bin/cat', '/proc/self/environ']);
    const { stdout, ...rest } = await run(argv, { cwd: here.path });
    expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
    return stdout.split('\0').slice(0, -1).toSorted();
  };

  describe.concurrent('its words', () => {
    test.each([[[]], [['x']], [['--']], [['']], [['/']]])('%j: says how to use it and exits 111', async (words) => {
      expect(await run([envdir, ...words])).toEqual({ ...silent, code: 111, stderr: USAGE });
    });

    test('takes no options: -- and -x are directories', async () => {
      await using here = temporaryDirectory();
      const outcome = (...words: readonly string[]): Promise<Outcome> => run([envdir, ...words], { cwd: here.path });
      for (const word of ['--', '-x', '-', '-i']) {
        expect(await outcome(word, 'd', 'true')).toEqual(
          fatal('envdir', `unable to switch to directory ${word}: file does not exist`),
        );
        here.makeDirectory(word);
        writeFileSync(here.join(word, 'A'), word);
        expect(await outcome(word, 'sh', '-c', 'echo "$A"')).toEqual({ ...silent, stdout: `${word}\n` });
        expect(await outcome(word, '-x')).toEqual(fatal('envdir', 'unable to run -x: file does not exist'));
      }
    });

    test.each([
      ['nonexist', 'file does not exist'],
      ['', 'file does not exist'],
      ['file', 'not a directory'],
      ['file/x', 'not a directory'],
      ['loop', 'symbolic link loop'],
      ['dangling', 'file does not exist'],
      ['x'.repeat(256), 'file name too long'],
    ])('"%s" is no directory: says why and exits 111', async (directory, why) => {
      await using here = temporaryDirectory();
      writeFileSync(here.join('file'), '');
      symlinkSync('loop', here.join('loop'));
      symlinkSync('nowhere', here.join('dangling'));
      expect(await run([envdir, directory, 'echo', 'ran'], { cwd: here.path })).toEqual(
        fatal('envdir', `unable to switch to directory ${directory}: ${why}`),
      );
    });

    test.each(oddNames)('a directory whose name has %s is read, and named byte for byte', async (_, name) => {
      await using here = temporaryDirectory();
      mkdirSync(joinBytes(here.path, '/', name));
      writeFileSync(joinBytes(here.path, '/', name, '/A'), 'one');
      expect(await run([envdir, name, 'sh', '-c', 'echo "$A"'], { cwd: here.path })).toEqual({
        ...silent,
        stdout: 'one\n',
      });
      mkdirSync(joinBytes(here.path, '/', name, '/sub'));
      expect(await run([envdir, name, 'true'], { cwd: here.path })).toEqual(
        fatal('envdir', `unable to read ${shownBytes(name)}/sub: is a directory`),
      );
      expect(await run([envdir, joinBytes(name, '/x'), 'true'], { cwd: here.path })).toEqual(
        fatal('envdir', `unable to switch to directory ${shownBytes(name)}/x: file does not exist`),
      );
    });
  });

  describe.concurrent('the value of a variable', () => {
    test('for each kind of file', async () => {
      const files = values.map(([, content], index) => [`V${index}`, content] as const);
      await using here = withFiles(files);
      const before = values.map((_, index) => `V${index}=old`);
      const expected = values.flatMap(([, , value], index) => (value === undefined ? [] : [`V${index}=${value}`]));
      // One by one, so that a failure shows which.
      const found = new Map((await environmentOf(here, before)).map((each) => [each.split('=')[0] ?? '', each]));
      expect(found.size).toBe(expected.length);
      for (const [index, [what, , value]] of values.entries()) {
        expect(found.get(`V${index}`), what).toBe(value === undefined ? undefined : `V${index}=${value}`);
      }
      expect(await environmentOf(here, []), 'nothing was there before').toEqual(expected.toSorted());
    });

    test('comes through a link, from a file of another directory', async () => {
      await using here = withFiles([]);
      writeFileSync(here.join('elsewhere'), 'one');
      symlinkSync('../elsewhere', here.join('d/A'));
      symlinkSync(here.join('elsewhere'), here.join('d/B'));
      expect(await environmentOf(here, [])).toEqual(['A=one', 'B=one']);
    });

    test('is removed by a FIFO without a writer, and by an empty device', async () => {
      await using here = withFiles([]);
      makeFifo(here.join('d/A'));
      symlinkSync('/dev/null', here.join('d/B'));
      expect(await environmentOf(here, ['A=old', 'B=old', 'C=old'])).toEqual(['C=old']);
    });

    test('which is too large to be handed on keeps the program from running', async () => {
      await using here = withFiles([['A', 'x'.repeat(131_072 - 'A='.length - 1)]]);
      const outcome = (): Promise<Outcome> => run([envdir, 'd', 'sh', '-c', 'echo ${#A}'], { cwd: here.path });
      expect(await outcome()).toEqual({ ...silent, stdout: '131069\n' });
      writeFileSync(here.join('d/A'), 'x'.repeat(131_072 - 'A='.length));
      expect(await outcome()).toEqual(fatal('envdir', 'unable to run sh: argument list too long'));
    });

    test('a link to nowhere: C may use the value before it, ours removes the variable (docs/compatibility.md)', async () => {
      await using here = withFiles([]);
      symlinkSync('nowhere', here.join('d/L'));
      expect(await environmentOf(here, ['L=old', 'C=old'])).toEqual(['C=old']);
      writeFileSync(here.join('d/A'), 'one');
      writeFileSync(here.join('d/B'), 'two');
      const found = await environmentOf(here, ['L=old', 'C=old']);
      const rest = ['A=one', 'B=two', 'C=old'];
      if (implementation.name === 'daemontap') expect(found).toEqual(rest);
      else {
        // Which file comes before it is up to the file system.
        expect([[], ['L=one\n'], ['L=two\n']]).toContainEqual(found.filter((each) => each.startsWith('L')));
        expect(found.filter((each) => !each.startsWith('L'))).toEqual(rest);
      }
    });
  });

  describe.concurrent('the name of a variable', () => {
    test('is that of the file, whatever it is', async () => {
      const names: readonly Argument[] = [
        'A',
        'a b',
        ' ',
        'a.b',
        'FOO-BAR',
        'a\nb',
        '-x',
        '~',
        '*',
        '123',
        'x'.repeat(255),
        'ü',
        Uint8Array.of(0xff, 0xfe, 0x28),
      ];
      await using here = withFiles(names.map((name) => [name, joinBytes('of ', name.slice(0, 1))] as const));
      const expected = names.map((name) => {
        const [first = ''] = shownBytes(joinBytes('of ', name.slice(0, 1))).split('\n');
        return `${shownBytes(name)}=${first.replace(/ +$/, '')}`;
      });
      expect(
        await environmentOf(
          here,
          names.map((name) => joinBytes(name, '=old')),
        ),
      ).toEqual(expected.toSorted());
    });

    test('with a dot first is none', async () => {
      await using here = withFiles([
        ['.A', 'one'],
        ['..B', 'two'],
        ['...', 'three'],
        ['C.', 'four'],
      ]);
      here.makeDirectory('d/.sub');
      expect(await environmentOf(here, ['.A=old'])).toEqual(['.A=old', 'C.=four']);
    });

    test('with an equals sign sets what is before it', async () => {
      await using here = withFiles([
        ['X=Y', 'y\n'],
        ['P=Q', ''],
        ['R=S', '\n'],
        ['T=', 'u'],
        ['=V', 'w'],
      ]);
      expect(await environmentOf(here, ['X=old', 'P=old', 'R=old', 'T=old', 'Y=old', '=old'])).toEqual(
        ['X=Y=y', 'P=Q', 'R=S=', 'T==u', '=V=w', 'Y=old'].toSorted(),
      );
    });

    test('that the caller has twice is replaced, or removed, once: the first', async () => {
      await using here = withFiles([
        ['A', 'new'],
        ['B', ''],
        ['C', 'new'],
      ]);
      expect(await environmentOf(here, ['A=1', 'B=1', 'C=1', 'A=2', 'B=2', 'A=3', 'D=1', 'D=2'])).toEqual(
        ['A=2', 'A=3', 'A=new', 'B=2', 'C=new', 'D=1', 'D=2'].toSorted(),
      );
    });

    test('is compared as a whole', async () => {
      await using here = withFiles([
        ['A', 'new'],
        ['AB', ''],
      ]);
      expect(await environmentOf(here, ['AA=1', 'a=1', 'AB', 'A', 'ABC=', 'B=A=', 'AB=1', ''])).toEqual(
        ['', 'A', 'A=new', 'AA=1', 'AB', 'ABC=', 'B=A=', 'a=1'].toSorted(),
      );
    });
  });

  describe.concurrent('the program', () => {
    test('gets everything of a directory at once', async () => {
      await using here = withFiles([
        ['A', 'one\ntwo\n'],
        ['B', 'tr \t \n'],
        ['C', ''],
        ['D', '\n'],
        ['F', 'n\0x'],
        ['.H', 'h\n'],
        ['X=Y', 'y\n'],
      ]);
      const strings = ['A=old', 'C=old', 'PATH=/usr/bin:/bin'];
      const { stdout } = await run(withEnvironment(strings, [envdir, 'd', 'env']), { cwd: here.path });
      expect(stdout.split('\n').toSorted()).toEqual(
        'A=one\nB=tr\nD=\nF=n\nPATH=/usr/bin:/bin\nX=Y=y\nx\n'.split('\n').toSorted(),
      );
    });

    test('gets thousands of variables', async () => {
      const numbers = Array.from({ length: 2000 }, (_, index) => index);
      await using here = withFiles(numbers.map((index) => [`V${index}`, `${index}`] as const));
      expect(
        await environmentOf(
          here,
          numbers.slice(0, 500).map((index) => `V${index}=old`),
        ),
      ).toEqual(numbers.map((index) => `V${index}=${index}`).toSorted());
    });

    test('of an empty directory gets what the caller has', async () => {
      await using here = withFiles([]);
      const strings = ['a.b=1', 'PWD=/wrong', 'NODE_OPTIONS=--no-such', 'X', '', '=', 'A=1', 'A=1'];
      expect(await environmentOf(here, strings)).toEqual(strings.toSorted());
    });

    test('is looked for in the PATH of the caller, and gets that of the directory', async () => {
      await using here = withFiles([['PATH', 'other']]);
      const outcome = (name: string): Promise<Outcome> =>
        run([envdir, 'd', name], { cwd: here.path, env: { ...cleanEnvironment, PATH: 'mine' } });
      for (const each of ['mine', 'other']) {
        here.makeDirectory(each);
        writeFileSync(here.join(each, 'hello'), '#!/bin/sh\necho "$0 $PATH"\n', { mode: 0o755 });
      }
      writeFileSync(here.join('other/there'), '#!/bin/sh\n', { mode: 0o755 });
      expect(await outcome('hello')).toEqual({ ...silent, stdout: 'mine/hello other\n' });
      expect(await outcome('there')).toEqual(fatal('envdir', 'unable to run there: file does not exist'));
      writeFileSync(here.join('d/PATH'), '');
      const { stdout } = await run([envdir, 'd', 'hello'], { cwd: here.path, env: { PATH: 'mine' } });
      expect(stdout).toMatch(/^mine\/hello /);
    });

    test('of envdir behind envdir is looked for in the PATH of the first directory', async () => {
      await using here = withFiles([['PATH', 'other']]);
      here.makeDirectory('e');
      for (const each of ['mine', 'other']) {
        here.makeDirectory(each);
        writeFileSync(here.join(each, 'hello'), '#!/bin/sh\necho "$0"\n', { mode: 0o755 });
      }
      const env = { ...cleanEnvironment, PATH: 'mine' };
      expect(await run([envdir, 'd', envdir, 'e', 'hello'], { cwd: here.path, env })).toEqual({
        ...silent,
        stdout: 'other/hello\n',
      });
    });

    test('runs in the directory of the caller, whatever that is called', async () => {
      await using here = withFiles([['A', 'one']]);
      for (const argument of ['d', './d', here.join('d'), 'd/', 'd/../d//']) {
        expect(await run([envdir, argument, '/bin/sh', '-c', 'echo "$A"; pwd -P'], { cwd: here.path })).toEqual({
          ...silent,
          stdout: `one\n${here.path}\n`,
        });
      }
      expect(await run([envdir, '.', '/bin/sh', '-c', 'echo "$A"; pwd -P'], { cwd: here.join('d') })).toEqual({
        ...silent,
        stdout: `one\n${here.join('d')}\n`,
      });
    });

    test('is not looked for before the directory was read', async () => {
      await using here = withFiles([]);
      expect(await run([envdir, 'nonexist', './nonexist'], { cwd: here.path })).toEqual(
        fatal('envdir', 'unable to switch to directory nonexist: file does not exist'),
      );
      expect(await run([envdir, 'd', 'nosuchprog'], { cwd: here.path })).toEqual(
        fatal('envdir', 'unable to run nosuchprog: file does not exist'),
      );
    });
  });

  describe.concurrent('what cannot be read', () => {
    test.each([
      ['sub', 'is a directory'],
      ['linked', 'is a directory'],
      ['loop', 'symbolic link loop'],
      ['through', 'not a directory'],
      ['socket', 'device not configured'],
    ])('%s is fatal, and the program is not run', async (name, why) => {
      await using here = withFiles([['A', 'one']]);
      if (name === 'sub') here.makeDirectory('d/sub');
      if (name === 'linked') symlinkSync('..', here.join('d/linked'));
      if (name === 'loop') symlinkSync('loop', here.join('d/loop'));
      if (name === 'through') symlinkSync('A/x', here.join('d/through'));
      const server = createServer();
      if (name === 'socket') {
        await new Promise<void>((resolve) => {
          server.listen(here.join('d/socket'), resolve);
        });
      }
      try {
        for (const directory of ['d', 'd/', './d', here.join('d')]) {
          expect(await run([envdir, directory, 'echo', 'ran'], { cwd: here.path })).toEqual(
            fatal('envdir', `unable to read ${directory}/${name}: ${why}`),
          );
        }
      } finally {
        server.close();
      }
    });

    test.runIf(canBeNobody)('for an ordinary user: a file, the directory, or what is in it', async () => {
      await using here = withFiles([['secret', 'one']]);
      const outcome = (): Promise<Outcome> => run(asNobody([envdir, 'd', 'echo', 'ran']), { cwd: here.path });
      expect(await outcome()).toEqual({ ...silent, stdout: 'ran\n' });
      chmodSync(here.join('d/secret'), 0o600);
      expect(await outcome()).toEqual(fatal('envdir', 'unable to read d/secret: access denied'));
      chmodSync(here.join('d'), 0o744);
      expect(await outcome()).toEqual(fatal('envdir', 'unable to switch to directory d: access denied'));
      chmodSync(here.join('d'), 0o711);
      expect(await outcome()).toEqual(fatal('envdir', 'unable to read directory d: access denied'));
    });

    test.runIf(canBeNobody)('for an ordinary user: the directory of the caller', async () => {
      await using here = withFiles([]);
      const outcome = (directory: string): Promise<Outcome> =>
        run(asNobody([envdir, directory, 'echo', 'ran']), { cwd: here.join('closed') });
      here.makeDirectory('closed');
      for (const mode of [0o711, 0o744]) {
        chmodSync(here.join('closed'), mode);
        expect(await outcome(here.join('d'))).toEqual(
          fatal('envdir', 'unable to switch to current directory: access denied'),
        );
      }
    });
  });
});
