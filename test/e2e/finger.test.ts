/** The first story of daemontools' FAQ, as a user lives it: a finger server under tcpserver. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { run } from './support/run.ts';
import { scanCombinations, scanDirectory } from './support/supervised.ts';
import { until } from './support/until.ts';

// Services are waited for most of the time, C's svscan for up to five seconds.
vi.setConfig({ maxConcurrency: 14 });

const TCPSERVER = '/usr/bin/tcpserver';
const isPossible = existsSync(TCPSERVER) && process.getuid?.() === 0;
if (!isPossible) console.log(`skipped: the finger server; it needs ${TCPSERVER} and root`);

describe.runIf(isPossible).concurrent.each(scanCombinations)('a finger server ($title)', (combination) => {
  test('made in the scan directory, put up, asked, and looked at', async () => {
    await using scan = scanDirectory(combination);
    const port = await freePort();
    mkdirSync(scan.path('finger'));
    await until(() => existsSync(scan.path('finger/supervise/ok')), { describe: 'finger is supervised' });
    const about = (name: string): string => {
      const found = statSync(scan.path('finger/supervise', name));
      const kind = found.isFIFO() ? 'FIFO' : found.isFile() ? `${found.size} bytes` : 'other';
      return `${kind} ${(found.mode & 0o7777).toString(8)}`;
    };
    expect(
      readdirSync(scan.path('finger/supervise'))
        .filter((name) => name !== 'status.new')
        .toSorted(),
    ).toEqual(['control', 'lock', 'ok', 'status']);
    expect(['control', 'ok', 'lock', 'status'].map(about)).toEqual([
      'FIFO 600',
      'FIFO 600',
      '0 bytes 600',
      '18 bytes 644',
    ]);
    await scan.svc('-d', 'finger');
    await scan.says('finger', 'down N seconds, normally up');

    const command = `exec env - PATH=/usr/local/bin:/usr/bin:/bin ${TCPSERVER} -u 65534 -g 65534 -R -H -l 0 127.0.0.1 ${port} sh -c 'id -u; echo no one is here'`;
    writeFileSync(scan.path('finger/run'), `#!/bin/sh\n${command}\n`);
    chmodSync(scan.path('finger/run'), 0o755);
    await scan.svc('-u', 'finger');
    const pid = await until(() => isTcpserver(scan.record('finger')?.pid ?? 0), { describe: 'tcpserver runs' });
    await until(async () => (await ask(port)) === '65534\nno one is here\n', {
      describe: 'it answers as nobody',
      state: () => ask(port),
    });
    const { stdout: shown } = await run(['ps', '-o', 'pid=,args=', '-p', String(pid)]);
    expect(shown.trim()).toBe(`${pid} ${command.slice(command.indexOf(TCPSERVER)).replaceAll("'", '')}`);
    const { stdout: status } = await run([combination.client.path('svstat'), 'finger'], { cwd: scan.path() });
    expect(status).toMatch(new RegExp(`^finger: up \\(pid ${pid}\\) \\d+ seconds\\n$`));

    await scan.svc('-d', 'finger');
    await scan.says('finger', 'down N seconds, normally up');
    expect(await ask(port)).toBeUndefined();
  });
});

function isTcpserver(pid: number): number | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1') === 'tcpserver\n' ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** What a server says to who connects, or `undefined` when nobody listens. */
function ask(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    connect(port, '127.0.0.1')
      .setEncoding('utf8')
      .on('data', (text: string) => (answer += text))
      .on('end', () => resolve(answer))
      .on('error', () => resolve(undefined));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo; // it listens on TCP
      server.close(() => resolve(port));
    });
  });
}
