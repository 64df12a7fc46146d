/** Services that cannot be started, a system that is out of something, readers that are stuck: nothing ends svscan. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { asNobody, canBeNobody } from './support/nobody.ts';
import { endsAtOnce, logsSignals } from './support/runs.ts';
import { start } from './support/start.ts';
import {
  clientsIn,
  linesOf,
  ourScanners,
  readRecord,
  scanCombinations,
  scanDirectory,
  scanners,
  scannerOf,
  serverEnvironment,
  writeOutPreset,
} from './support/supervised.ts';
import type { Driven, ScanDirectory } from './support/supervised.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';
import { until } from './support/until.ts';

const NOBODY = 65_534;
/** Whoever runs the tests may hand them descriptors of any number. */
const CLOSE_STRAYS = 'for fd in /proc/$$/fd/*; do fd=${fd##*/}; [ $fd -gt 2 ] && eval "exec $fd>&-"; done';

const saysOf = (scan: ScanDirectory, line: string, times = 1): Promise<boolean> =>
  until(() => scan.svscan.stderr().split(line).length > times, {
    describe: `it says ${times} times: ${line}`,
    state: scan.svscan.stderr,
  });

/** A scan directory of nobody; `setUp` runs in the shell that becomes its supervisor. */
const scanOfNobody = (
  driven: Driven,
  setUp: string,
  prepare: (scan: Pick<ScanDirectory, 'here' | 'path' | 'make'>) => void,
): ScanDirectory =>
  scanDirectory(driven, {
    through: ['/bin/bash', '-c', `${CLOSE_STRAYS}; ${setUp}; exec "$@"`, 'bash', ...asNobody([])],
    prepare(scan) {
      prepare(scan);
      execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, scan.here.path]);
    },
  });

describe.concurrent.each(scanCombinations)('a run that cannot be started ($title)', (combination) => {
  test('is tried each second with a message, whatever is wrong, and starts as soon as it is right', async () => {
    const good = '#!/bin/sh\nexec sleep 1000\n';
    const troubles: Readonly<Record<string, readonly [reason: string, breakIt: (run: string) => void]>> = {
      missing: ['file does not exist', () => {}],
      'not-executable': ['access denied', (run) => writeFileSync(run, good, { mode: 0o644 })],
      'no-interpreter': ['file does not exist', (run) => writeFileSync(run, '#!/no/such\n', { mode: 0o755 })],
      'bad-interpreter': ['access denied', (run) => writeFileSync(run, '#!/etc/passwd\n', { mode: 0o755 })],
      plain: ['exec format error', (run) => writeFileSync(run, 'exec sleep 1000\n', { mode: 0o755 })],
      empty: ['exec format error', (run) => writeFileSync(run, '', { mode: 0o755 })],
      directory: ['access denied', (run) => mkdirSync(run)],
      dangling: ['file does not exist', (run) => symlinkSync('nowhere', run)],
      loop: ['symbolic link loop', (run) => symlinkSync('run', run)],
    };
    const names = Object.keys(troubles);
    await using scan = scanDirectory(combination, {
      prepare({ path }) {
        for (const [name, [, breakIt]] of Object.entries(troubles)) {
          mkdirSync(path(name));
          breakIt(path(name, 'run'));
        }
      },
    });
    const line = (name: string): string => `supervise: fatal: unable to start ${name}/run: ${troubles[name]?.[0]}\n`;
    await Promise.all(names.map((name) => saysOf(scan, line(name), 3)));
    expect([...new Set(scan.svscan.stderr().split('\n'))].toSorted()).toEqual(
      ['', ...names.map((name) => line(name).trimEnd())].toSorted(),
    );
    // A `d` is heard meanwhile.
    await scan.svc('-d', 'plain');
    await scan.down('plain');
    for (const name of names) {
      rmSync(scan.path(name, 'run'), { recursive: true, force: true });
      scan.make(name);
    }
    await scan.svc('-u', 'plain');
    const runs = async (name: string): Promise<void> => {
      const isUp = async (): Promise<boolean> => {
        const { pid } = scan.record(name) ?? { pid: 0 };
        return pid !== 0 && commandOf(pid) === 'sleep';
      };
      await until(isUp, { describe: `${name} runs`, state: scan.svscan.stderr });
    };
    await Promise.all(names.map(runs));
    // Gone while it runs: that is noticed at the next start.
    rmSync(scan.path('plain/run'));
    await scan.svc('-t', 'plain');
    await saysOf(scan, 'supervise: fatal: unable to start plain/run: file does not exist\n', 2);
    scan.make('plain');
    await runs('plain');
  });
});

describe.concurrent.each(ourScanners)('trouble ($name)', (ours) => {
  test('a control that is no FIFO is refused with a reason, others are supervised, and it is when it is right', async () => {
    await using scan = scanDirectory(ours, {
      prepare({ make, path }) {
        for (const name of ['file', 'directory', 'fine', 'link']) make(name);
        for (const name of ['file', 'directory', 'link']) mkdirSync(path(name, 'supervise'), { mode: 0o700 });
        writeFileSync(path('file/supervise/control'), 'x');
        mkdirSync(path('directory/supervise/control'));
        symlinkSync('/tmp', path('link/supervise/control'));
      },
    });
    await scan.up('fine');
    for (const name of ['file', 'directory', 'link']) {
      const line = new RegExp(`^supervise: fatal: unable to (read|write) ${name}/supervise/control: .+$`, 'm');
      await until(() => line.test(scan.svscan.stderr()), { describe: `${name} is refused`, state: scan.svscan.stderr });
    }
    for (const name of ['file', 'directory', 'link']) rmSync(scan.path(name, 'supervise/control'), { recursive: true });
    await scan.up('file');
    await scan.up('directory');
    await scan.up('link');
    await scan.svc('-d', 'fine', 'file');
    await scan.down('file');
  });

  test('standard error that nobody reads: it floods, and commands are answered', async () => {
    await using scan = scanDirectory(ours, {
      // Its standard error is a pipe, which is full already, to a reader that sleeps.
      through: [
        '/bin/sh',
        '-c',
        'echo $$ >pid; { head -c 65536 /dev/zero >&2; exec "$@"; } 2>&1 >/dev/null | exec sleep 1000',
        'sh',
      ],
      prepare({ make, path }) {
        make('a', logsSignals());
        make('b', endsAtOnce);
        for (let index = 0; index < 30; index++) mkdirSync(path(`failing-${index}`));
      },
    });
    const pid = await scan.up('a');
    await until(() => linesOf(scan.path('b/starts')).length >= 3, { describe: 'b is started three times' });
    await until(() => linesOf(scan.path('a/events')).length > 0, { describe: 'a takes signals' });
    await scan.svc('-h', 'a');
    await until(() => linesOf(scan.path('a/events')).includes('HUP'), { describe: 'a has got HUP' });
    await scan.svc('-t', 'a');
    await scan.up('a', pid);
    await scan.svc('-d', 'a', 'b');
    await scan.says('a', 'down N seconds, normally up');
    await scan.scanPasses();
  });

  test('standard error whose reader has gone does not end it', async () => {
    await using scan = scanDirectory(ours, {
      through: ['/bin/sh', '-c', 'exec 3>&1; { exec "$@"; } 2>&1 >&3 3>&- | head -n 1 >first', 'sh'],
      prepare: ({ make, path }) => {
        make('a', logsSignals());
        mkdirSync(path('failing'));
      },
    });
    await until(() => linesOf(scan.here.join('first')).length === 1, { describe: 'its reader has read one line' });
    const pid = await scan.up('a');
    scan.make('clock', endsAtOnce);
    await until(() => linesOf(scan.path('clock/starts')).length >= 3, { describe: 'more has been said meanwhile' });
    await scan.svc('-t', 'a');
    await scan.up('a', pid);
    await scan.scanPasses();
  });

  test('no room for the status: control goes on, and the status is right when there is room', async () => {
    await using here = temporaryDirectory();
    const disk = here.makeDirectory('service/a/supervise');
    using mounted = mountTiny(disk);
    if (!mounted.isMounted) return;
    here.makeService('service/a', logsSignals());
    here.makeService('service/b', logsSignals());
    if (ours.isUp === true) writeOutPreset(here.join('service'));
    await using svscan = start([...scannerOf(ours), here.join('service')], {
      cwd: here.path,
      env: serverEnvironment(ours.server, here),
    });
    const clients = clientsIn(ours.client, here.join('service'));
    const recordOf = (name: string) => readRecord(here.join('service', name));
    await until(() => linesOf(here.join('service/a/events')).length > 0, { describe: 'a runs' });
    mounted.fill();
    await clients.svc('-h', 'a');
    await clients.svc('-t', 'a');
    await until(() => linesOf(here.join('service/a/events')).join() === 'start,HUP,TERM,start', {
      describe: 'a was hung up and started again',
      state: () => [linesOf(here.join('service/a/events')), svscan.stderr()],
    });
    const line = /^supervise: warning: unable to (open|write) a\/supervise\/status\.new: out of disk space$/m;
    await until(() => line.test(svscan.stderr()), { describe: 'it is said', state: svscan.stderr });
    await until(() => (recordOf('b')?.pid ?? 0) > 0, { describe: 'b is not concerned' });
    mounted.makeRoom();
    await clients.svc('-d', 'a');
    await until(() => recordOf('a')?.pid === 0, { describe: 'the status is right again', state: svscan.stderr });
    await svscan[Symbol.asyncDispose]();
  });
});

describe.runIf(canBeNobody).concurrent.each(ourScanners)('trouble of an ordinary account ($name)', (ours) => {
  test('a service directory that may not be entered is complained of, others run, and it does when it may be', async () => {
    await using scan = scanOfNobody(ours, ':', ({ make, path }) => {
      make('closed');
      make('open');
      chmodSync(path('closed'), 0);
    });
    await scan.up('open');
    await until(() => /unable to .*closed.*: access denied\n/.test(scan.svscan.stderr()), {
      describe: 'it is said',
      state: scan.svscan.stderr,
    });
    chmodSync(scan.path('closed'), 0o755);
    await scan.up('closed');
    await scan.svc('-d', 'closed', 'open');
    await scan.down('closed');
  });

  test('a supervise/ that may not be written any more: control goes on without the status', async () => {
    await using scan = scanOfNobody(ours, ':', ({ make }) => make('a', logsSignals()));
    await until(() => linesOf(scan.path('a/events')).length > 0, { describe: 'a runs' });
    chmodSync(scan.path('a/supervise'), 0o500);
    await scan.svc('-t', 'a');
    await until(() => linesOf(scan.path('a/events')).join() === 'start,TERM,start', { describe: 'a is started again' });
    await saysOf(scan, 'supervise: warning: unable to open a/supervise/status.new: access denied\n');
    chmodSync(scan.path('a/supervise'), 0o700);
    await scan.svc('-d', 'a');
    await scan.down('a');
  });

  test('no room for processes: services stay commandable, and start when there is room', async () => {
    // An account of its own: a limit of processes counts all of an account's.
    const uid = 50_000 + (process.pid % 10_000);
    const account = ['/usr/bin/setpriv', `--reuid=${uid}`, '--regid=65534', '--clear-groups'];
    await using scan = scanDirectory(ours, {
      through: account,
      prepare({ here, make, path }) {
        for (const name of ['a', 'b', 'c']) {
          make(name, logsSignals());
          writeFileSync(path(name, 'down'), '');
        }
        execFileSync('chown', ['-R', `${uid}:${NOBODY}`, here.path]);
      },
    });
    await scan.down('c');
    await scan.svc('-u', 'a');
    await until(() => linesOf(scan.path('a/events')).length > 0, { describe: 'a runs' });
    const setProcessLimit = (soft: number): void => {
      const [setpriv = '', ...words] = account;
      execFileSync(setpriv, [...words, '/usr/bin/prlimit', `--pid=${scan.svscan.pid}`, `--nproc=${soft}:`]);
    };
    // Only what runs already has room.
    setProcessLimit(1);
    await scan.svc('-u', 'b');
    await until(() => /unable to start b\/run: temporary failure\n|unable to fork for b\b/.test(scan.svscan.stderr()), {
      describe: 'it is said',
      state: scan.svscan.stderr,
    });
    await scan.svc('-h', 'a');
    await until(() => linesOf(scan.path('a/events')).includes('HUP'), { describe: 'a has got HUP' });
    await scan.svc('-u', 'c');
    await scan.svc('-d', 'c');
    await scan.down('c');
    setProcessLimit(1000);
    await scan.up('b');
    expect(linesOf(scan.path('c/events'))).toEqual([]);
  });

  test('no room for descriptors: what does not fit is reported, the rest works, and more starts when there is room', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `s${String(index).padStart(2, '0')}`);
    await using scan = scanOfNobody(ours, 'ulimit -n 120', ({ make }) => names.forEach((name) => make(name)));
    const running = (): readonly string[] => names.filter((name) => (scan.record(name)?.pid ?? 0) > 0);
    const isReported = (): boolean => scan.svscan.stderr().includes('too few descriptors are left\n');
    await until(() => isReported() && running().length > 5, {
      describe: 'some run, and others are reported',
      state: () => [running().length, scan.svscan.stderr().slice(0, 1500)],
    });
    const first = running();
    const [one = '', two = ''] = first;
    const pid = scan.record(one)?.pid;
    await scan.svc('-t', one);
    await scan.up(one, pid);
    await scan.svc('-d', two);
    await scan.down(two);
    await scan.svc('-u', two);
    await scan.up(two);
    // Room is made: all but five that were first go away.
    const retired = first.slice(5);
    for (const name of retired) renameSync(scan.path(name), scan.path(`.${name}`));
    await scan.svc('-dx', ...retired.map((name) => `.${name}`));
    // One or two fewer may fit than at first: then not all that they take was open yet when the next one was begun.
    const others = (): readonly string[] => running().filter((name) => !first.includes(name));
    await until(() => others().length > retired.length / 2, {
      describe: 'others have taken their places',
      state: () => [first, retired, running(), scan.svscan.stderr().slice(-1500)],
    });
  });
});

describe.runIf(canBeNobody).concurrent.each(scanners)('a descriptor above the limit ($name)', (given) => {
  test('is handed on all the same', async () => {
    const command = 'ls -l /proc/$$/fd >fds; exec sleep 1000';
    await using scan = scanOfNobody(given, 'exec 200</dev/null; ulimit -n 100', ({ make }) => make('a', command));
    await until(() => linesOf(scan.path('a/fds')).some((line) => line.endsWith(' 200 -> /dev/null')), {
      describe: 'the service has it',
      state: () => [linesOf(scan.path('a/fds')), scan.svscan.stderr().slice(0, 500)],
    });
  });
});

function commandOf(pid: number): string | undefined {
  try {
    return execFileSync('cat', [`/proc/${pid}/comm`], {
      encoding: 'latin1',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}

interface TinyDisk extends Disposable {
  readonly isMounted: boolean;
  fill(): void;
  makeRoom(): void;
}

/** A file system in memory of 16 KB. */
function mountTiny(path: string): TinyDisk {
  const words = ['-t', 'tmpfs', '-o', 'size=16k,nr_inodes=20,mode=0700', 'daemontap-test', path];
  const isMounted = spawnSync('mount', words).status === 0;
  if (!isMounted) console.log('skipped: a full disk; it needs the right to mount');
  const filler = join(path, 'filler');
  return {
    isMounted,
    fill: () => void spawnSync('sh', ['-c', `cat /dev/zero >'${filler}' 2>/dev/null`]),
    makeRoom: () => rmSync(filler, { force: true }),
    [Symbol.dispose]() {
      // Lazily: it must be gone even if something still holds it.
      if (isMounted) spawnSync('umount', ['-l', path]);
    },
  };
}
