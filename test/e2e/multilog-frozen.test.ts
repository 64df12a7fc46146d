/**
 * Streams of one process on file systems that are really frozen: three small ones on loop devices, in a mount namespace of
 * their own. Calls on them hang until they are thawed, which a watchdog sees to whatever becomes of the test.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { run } from './support/run.ts';
import { temporaryDirectory } from './support/temporary-directory.ts';

const FROZEN = '1 2 3';
const IN_NAMESPACE = `
  for n in ${FROZEN}; do truncate -s 8M image$n && mkfs.ext4 -q image$n && mkdir mount$n && mount -o loop image$n mount$n || exit; done
  thaw() { for n in ${FROZEN}; do fsfreeze -u mount$n 2>/dev/null; done; }
  (trap 'kill $!' TERM; sleep 45 & wait $! && thaw) >/dev/null 2>&1 & watchdog=$!
  (cd "$OLDPWD" && exec "$@"); code=$?
  thaw; kill $watchdog
  for n in ${FROZEN}; do umount mount$n; done
  exit $code`;
const unshare = ['/usr/bin/unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c'];

const PROGRAM = `
  import { execFileSync } from 'node:child_process';
  import { mkdirSync, openSync, readFileSync, symlinkSync } from 'node:fs';
  import { openHosted, parseScript } from '@daemontap/multilog';
  process.chdir(process.argv[1]);
  const open = (service, ...words) => {
    mkdirSync(service, { recursive: true });
    return openHosted({
      script: parseScript(words.map((word) => Buffer.from(word))),
      directoryFd: openSync(service, 'r'),
      trouble: console.error,
      recovered() {},
      show() {},
      spawnProcessor: () => Promise.reject(new Error('none')),
    });
  };
  const mounts = [1, 2, 3].map((n) => 'mount' + n);
  const names = mounts.flatMap((mount) => [0, 1, 2, 3, 4, 5].map((n) => mount + '/' + n));
  const frozen = await Promise.all(names.map((name) => open(name, 's4096', './main')));
  const fine = await open('fine', 't', 's4096', './main');
  for (const sink of [...frozen, fine]) await sink.take(Buffer.from('one\\n'));
  for (const mount of mounts) {
    mkdirSync('linked/' + mount, { recursive: true });
    symlinkSync('../../' + mount, 'linked/' + mount + '/on');
    execFileSync('fsfreeze', ['-f', mount]);
  }
  const seen = { taken: 0, ended: 0, linked: 0 };
  const taken = frozen.map((sink) => sink.take(Buffer.from('two\\n'))?.then(() => seen.taken++));
  // Files are made, renamed and brought to the disk meanwhile.
  for (let n = 0; n < 50; n++) await fine.take(Buffer.from((n + '\\n').repeat(100)));
  const rotated = frozen.map((sink) => sink.rotate());
  const linked = names.map((name) => open('linked/' + name.split('/')[0], './on/late' + name.at(-1)).finally(() => seen.linked++));
  const late = await open('late', './main');
  await late.take(Buffer.from('late\\n'));
  await late.end();
  await fine.end();
  console.log('while they are frozen', JSON.stringify(seen), readFileSync('late/main/current', 'latin1').trim());
  for (const mount of mounts) execFileSync('fsfreeze', ['-u', mount]);
  await Promise.all([...taken, ...rotated]);
  await Promise.all(frozen.map((sink) => sink.end().then(() => seen.ended++)));
  await Promise.all(linked.map(async (each) => (await each).end()));
  console.log('afterwards', JSON.stringify(seen));`;

const canFreeze = tryFreeze();
if (!canFreeze) console.log('skipped: frozen file systems; it needs root, loop devices, mkfs.ext4 and fsfreeze');

test.skipIf(!canFreeze)('three frozen file systems keep waiting the streams on them, and no other', async () => {
  await using here = temporaryDirectory();
  const node = [process.execPath, '--conditions=@daemontap/source', '--input-type=module', '-e', PROGRAM];
  const argv = [...unshare, `cd "$0" && ${IN_NAMESPACE}`, here.path, ...node, here.path];
  const { stdout, ...rest } = await run(argv, {
    cwd: import.meta.dirname,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', UV_THREADPOOL_SIZE: '16' },
    timeoutMs: 55_000,
  });
  expect(rest).toEqual({ code: 0, signal: undefined, stderr: '' });
  expect(stdout.split('\n')).toEqual([
    'while they are frozen {"taken":0,"ended":0,"linked":0} late',
    'afterwards {"taken":18,"ended":18,"linked":18}',
    '',
  ]);
  expect(readdirSync(here.join('fine/main')).filter((name) => name.startsWith('@')).length).toBeGreaterThan(1);
});

/** Where a watchdog would be needed for the try itself, none of this may be tried. */
function tryFreeze(): boolean {
  if (process.getuid?.() !== 0) return false;
  const script = `cd "$(mktemp -d)" && truncate -s 8M image && mkfs.ext4 -q image && mkdir mount && mount -o loop image mount || exit
    fsfreeze -f mount && fsfreeze -u mount; code=$?
    umount mount; rm -r "$PWD"; exit $code`;
  return (
    spawnSync(unshare[0] ?? '', [...unshare.slice(1), script], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } })
      .status === 0
  );
}
