/**
 * What Node does to its process before any JavaScript of ours runs, and what it leaves alone. The launcher
 * (packages/cli/launch) and the end of a chain (packages/cli/src/chain/become.ts) are there because of the former. When
 * one of these fails with a new Node, something of them may go.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const PERL = '/usr/bin/perl';
/** Prints facts about its own process as JSON. */
const REPORT = `
  const { readFileSync, writeSync } = require('node:fs');
  const status = readFileSync('/proc/self/status', 'latin1');
  const bits = (name) => BigInt('0x' + new RegExp('^' + name + ':\\\\s*(\\\\w+)', 'm').exec(status)[1]);
  const flags = (fd) => parseInt(/flags:\\s*(\\d+)/.exec(readFileSync('/proc/self/fdinfo/' + fd, 'latin1'))[1], 8);
  const limit = /Max open files\\s+(\\d+)\\s+(\\d+)/.exec(readFileSync('/proc/self/limits', 'latin1')).slice(1);
  const report = (fields) => writeSync(2, JSON.stringify(fields));
  const has = (name, signal) => (bits(name) >> BigInt(signal - 1) & 1n) === 1n;`;
const CLOEXEC = 0o2000000;
const NONBLOCK = 0o4000;

/** Starts Node as a caller in perl has prepared its process, and returns what the script reports. */
function inNode(setUp: string, script: string, { input = '', words = [] as readonly string[] } = {}): unknown {
  const caller = `use POSIX; POSIX::close($_) for 3 .. 1023; ${setUp}; exec @ARGV or die`;
  const argv = ['--', process.execPath, '-e', REPORT + script, ...words];
  const output = execFileSync('/bin/sh', ['-c', 'exec 3>&2 2>&1; exec "$@"', 'sh', PERL, '-e', caller, ...argv], {
    input,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin' },
  });
  return JSON.parse(output);
}

describe.runIf(existsSync(PERL))('Node', () => {
  test('raises the soft limit of descriptors to the hard one', () => {
    const prepare = `exec '/usr/bin/prlimit', '--nofile=100:200', @ARGV`;
    expect(inNode(prepare, `report(limit)`)).toEqual(['200', '200']);
  });

  test('forgets which signals were ignored, and ignores SIGPIPE and SIGXFSZ itself', () => {
    const prepare = `$SIG{HUP} = $SIG{TERM} = 'IGNORE'; $SIG{PIPE} = $SIG{XFSZ} = 'DEFAULT'`;
    expect(inNode(prepare, `report([1, 15, 13, 25].map((signal) => has('SigIgn', signal)))`)).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  test('unblocks what was blocked', () => {
    const prepare = 'POSIX::sigprocmask(SIG_SETMASK, POSIX::SigSet->new(SIGTERM, SIGUSR2))';
    expect(inNode(prepare, `report([15, 12].map((signal) => has('SigBlk', signal)))`)).toEqual([false, false]);
  });

  test('marks inherited descriptors close-on-exec, 0 to 2 included', () => {
    const script = `report([0, 1, 2, 3, 9].map((fd) => (flags(fd) & ${CLOEXEC}) !== 0))`;
    expect(inNode('POSIX::dup2(0, $_) for 3 .. 15', script)).toEqual([true, true, true, true, true]);
  });

  test('opens /dev/null where one of the first three is closed', () => {
    const script = `report(require('node:fs').readlinkSync('/proc/self/fd/0'))`;
    expect(inNode('POSIX::close(0)', script)).toBe('/dev/null');
  });

  test('loses bytes of arguments and variables that are not UTF-8; /proc has them', () => {
    const prepare = `push @ARGV, "\\xff"; $ENV{X} = "\\xfe"`;
    const script = `report([process.argv.at(-1), process.env.X, readFileSync('/proc/self/cmdline').at(-2)])`;
    expect(inNode(prepare, script)).toEqual(['\ufffd', '\ufffd', 0xff]);
  });

  test('reads nothing of standard input and leaves its flags alone until process.stdin is touched', () => {
    const prepare = 'pipe my $r, my $w; syswrite $w, "input"; POSIX::dup2(fileno $r, 0); POSIX::close($_) for 3 .. 9';
    const untouched = `const bytes = Buffer.alloc(9);
      const before = flags(0) & ${NONBLOCK}; const length = require('node:fs').readSync(0, bytes);
      report([before, bytes.toString('latin1', 0, length)])`;
    expect(inNode(prepare, untouched)).toEqual([0, 'input']);
    expect(inNode(prepare, `process.stdin; report(flags(0) & ${NONBLOCK})`)).toBe(NONBLOCK);
  });
});
