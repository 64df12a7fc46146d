/**
 * What ps shows for a process is read from that process's memory, and PR_SET_MM_MAP tells the kernel where: any account
 * may, the memory may be an ArrayBuffer, and nothing else that the kernel knows about the process changes.
 */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { asNobody, canBeNobody } from '../e2e/support/nobody.ts';

const accounts = [
  { account: 'this account', as: (argv: readonly string[]) => argv },
  ...(canBeNobody ? [{ account: 'nobody', as: (argv: readonly string[]) => asNobody(argv).map(String) }] : []),
];

/** Runs a script in a Node of its own and returns what it prints. */
function nodeAs(as: (argv: readonly string[]) => readonly string[], code: string): string {
  const flags = ['--conditions=@daemontap/source', '--expose-gc', '--input-type=module', '-e'];
  const [file = '', ...words] = as([process.execPath, ...flags, code]);
  const { stdout, stderr } = spawnSync(file, words, { encoding: 'utf8', cwd: import.meta.dirname });
  expect(stderr).toBe('');
  return stdout;
}

describe.each(accounts)('as $account', ({ as }) => {
  test('the command line is the bytes that were given, and what is written over them', () => {
    const output = nodeAs(
      as,
      `import { readFileSync } from 'node:fs';
      import { openCommandLine } from '@daemontap/posix';
      const shown = () => console.log(JSON.stringify(readFileSync('/proc/self/cmdline', 'latin1')));
      const line = openCommandLine(['a b', '', '\\xff'].map((word) => Buffer.from(word, 'latin1')));
      shown();
      line.bytes.write('xyz');
      line.update();
      shown();
      // Where it was stays where it was, whatever the collector moves and however much memory is taken meanwhile.
      const taken = Array.from({ length: 2000 }, (_, index) => Buffer.alloc(10_000, index));
      gc();
      shown();
      openCommandLine([Buffer.from('other')]);
      shown();
      if (taken.length === 0) shown();`,
    );
    expect(output.split('\n').map((line) => line && (JSON.parse(line) as string))).toEqual([
      'a b\0\0\xff\0',
      'xyz\0\0\xff\0',
      'xyz\0\0\xff\0',
      'other\0',
      '',
    ]);
  });

  test('nothing else changes: the environment, the memory map, the executable, the auxiliary vector', () => {
    const output = nodeAs(
      as,
      `import { readFileSync, readlinkSync } from 'node:fs';
      import { openCommandLine } from '@daemontap/posix';
      const fields = () => readFileSync('/proc/self/stat', 'latin1').split(') ')[1].split(' ');
      const seen = () => [
        ...[26, 27, 28, 45, 46, 47, 50, 51].map((number) => fields()[number - 3]),
        readFileSync('/proc/self/environ', 'latin1'), readlinkSync('/proc/self/exe'),
        readFileSync('/proc/self/auxv', 'latin1'),
      ].join('|');
      seen();
      const before = seen();
      openCommandLine([Buffer.from('word')]);
      console.log(seen() === before);`,
    );
    expect(output).toBe('true\n');
  });

  test('/proc/self/comm may be written, and is what ps and pgrep call the process', () => {
    const output = nodeAs(
      as,
      `import { readFileSync, writeFileSync } from 'node:fs';
      writeFileSync('/proc/self/comm', 'a name of more than fifteen bytes');
      console.log(readFileSync('/proc/self/comm', 'latin1'));`,
    );
    expect(output).toBe('a name of more \n\n');
  });
});
