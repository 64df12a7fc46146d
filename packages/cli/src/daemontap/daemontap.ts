/** The `daemontap` command: the human side of a scan directory. Its words are read by commander, as bytes. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Command, CommanderError } from 'commander';
import { argumentBytes, hasCode } from '@daemontap/posix';
import { ConfigurationError } from '../configuration/problem.ts';
import { version } from '../help.ts';
import { endAsByPipeSignal, program as voiceOf, writeAll } from '../program.ts';
import { check } from './check.ts';
import { config } from './config.ts';
import { fromWord, toWord } from './directory.ts';
import type { DirectoryOptions } from './directory.ts';
import { plugins } from './plugins.ts';
import { addServiceCommands } from './services/commands.ts';
import { shareOutput } from './shared-output.ts';
import { up } from './up.ts';

const WRONG_USE = 100;
const { fatal, usage, warning } = voiceOf('daemontap');

/** Runs the command that the arguments name, and resolves with the exit code. */
export async function daemontap(): Promise<number> {
  shareOutput();
  // Node's own way to show a warning, about a plugin's module perhaps, takes several lines.
  process.removeAllListeners('warning').on('warning', ({ message }) => warning(message));
  let exitCode = 0;
  const does =
    (command: (options: DirectoryOptions & { readonly json?: boolean }) => Promise<number>) =>
    async (dir: string | undefined, options: Omit<DirectoryOptions, 'dir'>): Promise<void> => {
      exitCode = await command({ ...options, dir: fromWord(dir ?? '.') });
    };
  const main = new Command('daemontap')
    .description('daemontools service supervision with plugins: runs and shows what a configuration says')
    .version(version(), '--version', 'show the version')
    .helpOption('--help', 'show this help')
    .helpCommand(false)
    .configureOutput({
      writeOut: (text) => writeAll(1, Buffer.from(text, 'latin1')),
      writeErr: (text) => writeAll(2, Buffer.from(text, 'latin1')),
      outputError: (text) => void usage(`daemontap: fatal: ${text.trim().replace(/^error: /, '')}`),
    })
    .addHelpText(
      'after',
      '\nThe seventeen programs of daemontools are commands of their own: svc, svstat, multilog and the rest.\n',
    )
    .exitOverride();
  add(main, 'up', 'supervise the services in dir, with its configuration, until TERM or INT')
    .option('--log <form>', 'how messages are shown: plain, json or pretty')
    .option('--on-term <what>', 'what TERM and INT do: stop or leave')
    .option('--stop-timeout <seconds>', 'until a service that was told to stop is killed; 0: never')
    .action(does(up));
  add(main, 'plugins', 'show the plugins, where each comes from, its options and the time it has taken')
    .option('--json', 'as JSON')
    .action(does(plugins));
  add(main, 'config', 'show what is in force, and where each value comes from')
    .option('--json', 'as JSON')
    .action(does(config));
  add(main, 'check', 'check the configuration, and those of the services, without running anything').action(
    does(check),
  );
  addServiceCommands(main, (code) => void (exitCode = code));
  try {
    await main.parseAsync(argumentBytes().map(toWord), { from: 'user' });
    await nextTurn(); // warnings come in one of their own
    return exitCode;
  } catch (error) {
    if (hasCode(error, 'EPIPE')) endAsByPipeSignal(); // as `daemontap status | head -1`
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE;
    if (error instanceof ConfigurationError) {
      for (const { place, message } of error.problems) fatal(`${place}: ${message}`);
      return WRONG_USE;
    }
    throw error;
  }
}

/** A command about a scan directory, with what all of them take. */
function add(main: Command, name: string, description: string): Command {
  return main
    .command(name)
    .description(description)
    .argument('[dir]', 'the scan directory', undefined)
    .helpOption('--help', 'show this help')
    .option('--config <file>', 'the configuration, instead of the one in dir')
    .option('--runtime-dir <directory>', 'where pipes, records and sockets are kept');
}
