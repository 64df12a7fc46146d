/**
 * `npm start`: svscan on a sample scan directory, or on the user's own, in readable lines. The sample is a copy in a
 * temporary directory, which goes away at the end.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const TEMPORARY = 111;
const packageDir = dirname(dirname(import.meta.filename));

/** Runs until svscan ends, and resolves with its exit code. */
export async function demo(own: string | undefined): Promise<number> {
  const scanDir = own ?? sample();
  say(introduction(scanDir, own === undefined));
  let isStopping = false;
  // In a session of its own: Ctrl-C would go to all of the terminal's processes, and svscan is to stop them in order.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      isStopping = true;
      svscan.kill('SIGTERM');
    });
  }
  const svscan = spawn(join(packageDir, 'bin/svscan'), [scanDir], {
    stdio: 'inherit',
    detached: true,
    env: { ...process.env, DAEMONTAP_LOG: 'pretty' },
  });
  const outcome = await new Promise<{ readonly code: number; readonly reason?: string }>((resolve) => {
    svscan.on('error', ({ message }) => resolve({ code: TEMPORARY, reason: `unable to run svscan: ${message}` }));
    svscan.on('exit', (code, signal) => {
      if (code !== null) resolve({ code });
      // Told to stop before it had started anything.
      else if (isStopping && signal === 'SIGTERM') resolve({ code: 0 });
      else resolve({ code: TEMPORARY, reason: `svscan was ended by ${signal}; its services in ${scanDir} run on` });
    });
  });
  if (outcome.reason !== undefined) say(`${outcome.reason}\n`);
  else if (own === undefined) rmSync(scanDir, { recursive: true, force: true });
  if (outcome.code === 0) say('All services have ended.\n');
  return outcome.code;
}

function sample(): string {
  const scanDir = mkdtempSync(join(tmpdir(), 'daemontap-'));
  cpSync(join(packageDir, 'demo'), scanDir, { recursive: true });
  return scanDir;
}

function introduction(scanDir: string, isSample: boolean): string {
  const commands: readonly (readonly [command: string, meaning: string])[] = isSample
    ? [
        [`npx svstat ${scanDir}/* ${scanDir}/greeter/log`, 'what runs, and for how long'],
        [`tail -f ${scanDir}/greeter/log/current`, "the logged service's lines"],
        [`npx svc -d ${scanDir}/clock`, 'stop a service; -u starts it'],
        [`npx svc -t ${scanDir}/greeter`, 'restart one: no line is lost'],
        [`cp -r ${scanDir}/clock ${scanDir}/clock2`, 'add one: it is noticed at once'],
      ]
    : [
        [`npx svstat ${scanDir}/*`, 'what runs, and for how long'],
        [`npx svc -d ${scanDir}/SERVICE`, 'stop a service; -u starts it'],
      ];
  const width = Math.max(...commands.map(([command]) => command.length));
  const lines = commands.map(([command, meaning]) => `  ${command.padEnd(width)}  ${meaning}`);
  return `svscan supervises the services in ${scanDir}; Ctrl-C ends it.\nTry in another terminal, in this directory:\n\n${lines.join('\n')}\n\n`;
}

function say(text: string): void {
  try {
    writeSync(1, text);
  } catch {
    // Nobody listens (`npm start | head -1`): the services are told to end all the same.
  }
}
