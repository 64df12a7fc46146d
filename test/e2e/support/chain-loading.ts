/**
 * What the tests of all chain-loading programs share: how the next program is looked for and gets its arguments
 * (section 1.5 of the behaviour reference), and callers whose environment is any list of bytes.
 */
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Implementation, ProgramName } from './implementations.ts';
import { asNobody, canBeNobody } from './nobody.ts';
import { joinBytes, oddNames, shownBytes } from './odd-names.ts';
import { cleanEnvironment, run } from './run.ts';
import type { Argument, Outcome } from './run.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';

/** What a program that is content leaves. */
export const silent: Outcome = { code: 0, signal: undefined, stdout: '', stderr: '' };

/** What a program leaves that says why it cannot go on. */
export function fatal(program: ProgramName, text: string, code = 111): Outcome {
  return { ...silent, code, stderr: `${program}: fatal: ${text}\n` };
}

/** True when the tests may change ids. */
export const isRoot: boolean = process.getuid?.() === 0;
if (!isRoot) console.log('skipped: tests that need root');

const EXECVE = process.arch === 'arm64' ? 221 : 59;
const EXEC = `my $count = shift; my @strings = splice @ARGV, 0, $count; SETUP;
  my $file = $ARGV[0]; my $argv = pack('p*', @ARGV) . pack('J', 0); my $envp = pack('p*', @strings) . pack('J', 0);
  syscall ${EXECVE}, $file, $argv, $envp; die "$file: $!"`;

/**
 * The command line that executes a program, named by its path, with exactly these strings as its environment: in this
 * order, any bytes, a name twice, or no name at all. Before that it does something in perl, which has `@strings`.
 */
export function withEnvironment(
  strings: readonly Argument[],
  argv: readonly Argument[],
  setUp = '',
): readonly Argument[] {
  return ['/usr/bin/perl', '-e', EXEC.replace('SETUP', () => setUp), String(strings.length), ...strings, ...argv];
}

/** The command line that executes a program with no descriptors but the first three and these, open on /dev/null. */
export function withDescriptors(descriptors: readonly number[], argv: readonly Argument[]): readonly Argument[] {
  const script = `POSIX::close($_) for 3 .. 1023; my @wanted = splice @ARGV, 0, shift;
    my $fd = POSIX::open('/dev/null', O_RDWR); POSIX::dup2($fd, $_) for @wanted;
    POSIX::close($fd) if !grep { $_ == $fd } @wanted;
    exec @ARGV`;
  return ['/usr/bin/perl', '-MPOSIX', '-e', script, String(descriptors.length), ...descriptors.map(String), ...argv];
}

interface Search {
  readonly what: string;
  /** `undefined` where the caller has none. */
  readonly path: Argument | undefined;
  readonly name: Argument;
  /** What the program found prints: the path it was executed by. */
  readonly finds?: string;
  readonly fails?: string;
}

/** Directories of the tree that each have another kind of `hello`, or none. */
const searches: readonly Search[] = [
  { what: 'takes the first that there is', path: 'none:empty:bin:more', name: 'hello', finds: 'bin/hello' },
  { what: 'looks below /bin, then /usr/bin, without PATH', path: undefined, name: 'zgrep', finds: '/bin/zgrep' },
  { what: 'takes an empty PATH for the current directory', path: '', name: 'hello', finds: './hello' },
  { what: 'takes nothing before a colon for it', path: ':bin', name: 'hello', finds: './hello' },
  { what: 'takes nothing after a colon for it', path: 'none:', name: 'hello', finds: './hello' },
  { what: 'takes nothing between colons for it', path: 'none::bin', name: 'hello', finds: './hello' },
  { what: 'uses a component with a slash at its end as it is', path: 'bin/', name: 'hello', finds: 'bin//hello' },
  { what: 'tells what is nowhere', path: 'none:empty', name: 'hello', fails: 'file does not exist' },
  { what: 'ends where a component is a file', path: 'empty:file:bin', name: 'hello', fails: 'not a directory' },
  { what: 'ends at a loop of links', path: 'loop:bin', name: 'hello', fails: 'symbolic link loop' },
  { what: 'ends at what has no format', path: 'textual:bin', name: 'hello', fails: 'exec format error' },
  { what: 'ends at an empty file', path: 'hollow:bin', name: 'hello', fails: 'exec format error' },
  { what: 'passes over what is not executable', path: 'plain:bin', name: 'hello', finds: 'bin/hello' },
  { what: 'remembers what is not executable', path: 'plain:empty', name: 'hello', fails: 'access denied' },
  { what: 'forgets that where it has to end', path: 'plain:file:bin', name: 'hello', fails: 'not a directory' },
  { what: 'passes over a directory', path: 'nested:bin', name: 'hello', finds: 'bin/hello' },
  { what: 'remembers a directory', path: 'nested:empty', name: 'hello', fails: 'access denied' },
  { what: 'passes over a lost interpreter', path: 'lost:bin', name: 'hello', finds: 'bin/hello' },
  { what: 'takes a lost interpreter for a lost program', path: 'lost', name: 'hello', fails: 'file does not exist' },
  { what: 'passes over a link to nowhere', path: 'dangling:bin', name: 'hello', finds: 'bin/hello' },
  { what: 'takes an empty name for the directories', path: 'none:bin', name: '', fails: 'access denied' },
  { what: 'finds no directory for an empty name', path: 'none', name: '', fails: 'file does not exist' },
  { what: 'ends at a name that is too long', path: 'bin', name: 'x'.repeat(256), fails: 'file name too long' },
  {
    what: 'ends at a component that is too long',
    path: `${'x'.repeat(256)}:bin`,
    name: 'hello',
    fails: 'file name too long',
  },
  {
    what: 'goes through a component of any bytes',
    path: Uint8Array.of(0xff, 0x20, 0xc3),
    name: 'hello',
    finds: '\xff \xc3/hello',
  },
  { what: 'asks PATH for no name with a slash', path: 'bin', name: './hello', finds: './hello' },
  { what: 'executes a path', path: 'none', name: 'bin/hello', finds: 'bin/hello' },
  { what: 'tells that a path leads nowhere', path: 'bin', name: './none', fails: 'file does not exist' },
  { what: 'tells that a path leads through a file', path: 'bin', name: 'file/hello', fails: 'not a directory' },
  { what: 'tells that a path is not executable', path: 'bin', name: 'plain/hello', fails: 'access denied' },
  { what: 'tells that a path is a directory', path: 'bin', name: './bin', fails: 'access denied' },
  { what: 'tells that a path has no format', path: 'bin', name: './textual/hello', fails: 'exec format error' },
  { what: 'tells that a path has no interpreter', path: 'bin', name: './lost/hello', fails: 'file does not exist' },
];

const ZGREP = '/bin/zgrep';
if (!existsSync(ZGREP)) console.log('skipped: the search without PATH; it needs zgrep in /bin');

/** A directory with several programs `hello`, in directories named for what is wrong with them. */
function programTree(): TemporaryDirectory {
  const here = temporaryDirectory();
  const hello = (directory: Argument, text: string, mode = 0o755): void => {
    mkdirSync(joinBytes(here.path, '/', directory), { recursive: true });
    writeFileSync(joinBytes(here.path, '/', directory, '/hello'), text, { mode });
  };
  const says = '#!/bin/sh\necho "$0"\n';
  for (const each of ['.', 'bin', 'more', Uint8Array.of(0xff, 0x20, 0xc3)]) hello(each, says);
  hello('plain', says, 0o644);
  hello('textual', 'echo fell back to a shell\n');
  hello('hollow', '');
  hello('lost', '#!/no/such/interpreter\n');
  for (const each of ['empty', 'nested/hello', 'dangling', 'variables']) here.makeDirectory(each);
  symlinkSync('nowhere', here.join('dangling/hello'));
  symlinkSync('loop', here.join('loop'));
  writeFileSync(here.join('file'), '');
  hello('secret', says);
  chmodSync(here.join('secret'), 0o700);
  writeFileSync(here.join('lock'), '', { mode: 0o666 });
  chmodSync(here.join('lock'), 0o666);
  return here;
}

/** The words of each chain-loading program that change nothing for the next one; `variables` is an empty directory. */
const words = {
  envdir: ['variables'],
  envuidgid: ['nobody'],
  setuidgid: ['root'],
  softlimit: ['-c', '='],
  setlock: ['lock'],
  pgrphack: [],
  fghack: [],
} as const satisfies Partial<Record<ProgramName, readonly string[]>>;

/** A program that executes another. */
export type ChainLoader = keyof typeof words;

/** Declares the tests of how a program finds the next one and hands its arguments on. */
export function describeExecSearch(implementation: Implementation, program: ChainLoader): void {
  const possible = program !== 'setuidgid' || isRoot;
  describe.runIf(possible).concurrent(`${program} (${implementation.name}), to execute the next program,`, () => {
    let here: TemporaryDirectory;
    beforeAll(() => {
      here = programTree();
    });
    afterAll(() => here[Symbol.asyncDispose]());

    const argv = (...child: readonly Argument[]): readonly Argument[] => [
      implementation.path(program),
      ...words[program],
      ...child,
    ];

    test.each(searches.filter(({ name }) => name !== 'zgrep' || existsSync(ZGREP)))(
      '$what',
      async ({ path, name, finds, fails }) => {
        const environment = path === undefined ? ['A=1'] : ['A=1', joinBytes('PATH=', path)];
        // zgrep is there to tell by which path it was executed.
        const outcome = await run(withEnvironment(environment, argv(name, '--help')), { cwd: here.path });
        const shown =
          name === 'zgrep' ? { ...outcome, stdout: /Usage: (\S+\n?)/.exec(outcome.stdout)?.[1] + '\n' } : outcome;
        expect(shown).toEqual(
          fails === undefined
            ? { ...silent, stdout: `${finds}\n` }
            : fatal(program, `unable to run ${shownBytes(name)}: ${fails}`),
        );
      },
    );

    test('goes by the first PATH, where there are two', async () => {
      const command = withEnvironment(['PATH=bin', 'PATH=more'], argv('hello'));
      expect(await run(command, { cwd: here.path })).toEqual({ ...silent, stdout: 'bin/hello\n' });
    });

    test.runIf(canBeNobody)('remembers a directory that is closed to the account, and goes on', async () => {
      const command =
        program === 'setuidgid'
          ? (child: string) => [implementation.path(program), 'nobody', child]
          : (child: string) => asNobody(argv(child));
      const outcome = (PATH: string): Promise<Outcome> =>
        run(command('hello'), { cwd: here.path, env: { ...cleanEnvironment, PATH } });
      expect(await outcome('secret:bin')).toEqual({ ...silent, stdout: 'bin/hello\n' });
      expect(await outcome('secret:empty')).toEqual(fatal(program, 'unable to run hello: access denied'));
    });

    const searchable = oddNames.filter(([, name]) => !Buffer.from(name).includes('/'));
    test.each(searchable)('finds and names byte for byte a program whose name has %s', async (_, name) => {
      mkdirSync(here.join('odd'), { recursive: true });
      writeFileSync(joinBytes(here.join('odd'), '/', name), '#!/bin/sh\necho ran\n', { mode: 0o755 });
      const outcome = (PATH: string): Promise<Outcome> =>
        run(argv(name), { cwd: here.path, env: { ...cleanEnvironment, PATH } });
      expect(await outcome('odd')).toEqual({ ...silent, stdout: 'ran\n' });
      expect(await outcome('empty')).toEqual(fatal(program, `unable to run ${shownBytes(name)}: file does not exist`));
    });

    test('hands every byte of every argument on, with the name as it was given as the first', async () => {
      const bytes = Uint8Array.from({ length: 255 }, (_, index) => index + 1);
      const odd = ['', ' ', '-n', '--', '*', '$HOME', '"\'\\', 'a\nb\n', '\n', bytes, Uint8Array.of(0xff, 0xfe), ''];
      const child = ['sh', '-c', 'cat "/proc/$$/cmdline"; :', ...odd];
      expect(await run(argv(...child), { cwd: here.path })).toEqual({
        ...silent,
        stdout: child.map((word) => `${shownBytes(word)}\0`).join(''),
      });
    });
  });
}
