import { closeSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Mounts } from './mounts.ts';

const table = [
  '21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
  '22 21 0:20 / /proc rw - proc proc rw',
  '30 21 0:45 / /dead rw - nfs4 server:/ rw',
  '31 21 8:2 / /var/log rw - ext4 /dev/sdb rw',
  '32 21 8:3 / /var/with\\040space\\134 rw - ext4 /dev/sdc rw',
  '33 31 8:4 / /var/log/above rw - ext4 /dev/sdd rw',
  '34 31 8:5 / /var/log/above rw - ext4 /dev/sde rw',
  '',
].join('\n');

/** The device of a path among symbolic links, with what was asked of which device. */
async function deviceOf(
  path: string,
  links: Readonly<Record<string, string>> = {},
): Promise<{ readonly device: string; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const device = await new Mounts(() => table).deviceOfPath(Buffer.from(path, 'latin1'), async (on, link) => {
    asked.push(`${on} ${link.toString('latin1')}`);
    const target = links[link.toString('latin1')];
    return target === undefined ? undefined : Buffer.from(target, 'latin1');
  });
  return { device, asked };
}

describe('the device on which a path ends', () => {
  test.each([
    ['/service/x/main', '8:1'],
    ['/', '8:1'],
    ['/var/log', '8:2'],
    ['/var/log/', '8:2'],
    ['/var/logs/x', '8:1'],
    ['/var/log/x/../../y', '8:1'],
    ['//var/.//log/./x', '8:2'],
    ['/var/log/../../../..', '8:1'],
    ['/var/with space\\/x', '8:3'],
    ['/var/log/above/x', '8:5'],
  ])('%s: %s', async (path, device) => {
    expect((await deviceOf(path)).device).toBe(device);
  });

  test('is where its links lead, and a link is asked for on its own device alone', async () => {
    const links = { '/service/x/log': '../logs/x', '/service/logs': '/var/log', '/var/log/x/main': '/dead/x/main' };
    expect(await deviceOf('/service/x/log/main', links)).toEqual({
      device: '0:45',
      asked: [
        '8:1 /service',
        '8:1 /service/x',
        '8:1 /service/x/log',
        '8:1 /service/logs',
        '8:1 /var',
        '8:2 /var/log',
        '8:2 /var/log/x',
        '8:2 /var/log/x/main',
        '0:45 /dead',
        '0:45 /dead/x',
        '0:45 /dead/x/main',
      ],
    });
  });

  test('of links without end is found, too', async () => {
    expect((await deviceOf('/var/log/a', { '/var/log/a': 'b', '/var/log/b': 'a' })).device).toBe('8:2');
  });

  test('begins at an open directory where the path does', async () => {
    const root = openSync('/', 'r');
    const here = mkdtempSync(join(tmpdir(), 'daemontap-mounts-'));
    const held = openSync(here, 'r');
    try {
      expect(await deviceOf(`/proc/self/fd/${root}/./var/log/x`)).toEqual({
        device: '8:2',
        asked: ['8:1 /var', '8:2 /var/log', '8:2 /var/log/x'],
      });
      expect((await deviceOf(`/proc/self/fd/${held}/main`)).asked).toEqual([`8:1 ${here}/main`]);
    } finally {
      closeSync(root);
      closeSync(held);
      rmSync(here, { recursive: true });
    }
  });
});

test('the device of what is open is told without asking it', () => {
  for (const path of ['/proc', '/dev']) {
    const fd = openSync(path, 'r');
    const { dev } = statSync(path);
    // As glibc's gnu_dev_major and gnu_dev_minor, for numbers of that size.
    expect(new Mounts().deviceOf(fd)).toBe(`${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`);
    closeSync(fd);
  }
});

test('what was unmounted while it is in use is told by its mount', () => {
  const fd = openSync('/', 'r');
  expect(new Mounts(() => '').deviceOf(fd)).toMatch(/^mount \d+$/);
  closeSync(fd);
});
