/** The words of the commands that are about services. What they do is loaded when one is called. */
import type { Command } from 'commander';
import { environmentValue } from '@daemontap/formats';
import { readInherited } from '@daemontap/posix';
import { program as voiceOf } from '../../program.ts';
import { fromWord } from '../directory.ts';
import type { DirectoryOptions } from '../directory.ts';
import type { Verb } from './progress.ts';

interface Options {
  readonly dir?: string;
  readonly config?: string;
  readonly runtimeDir?: string;
}

interface TellOptions extends Options {
  readonly all?: true;
  readonly wait?: true;
  readonly timeout?: string;
}

const WRONG_USE = 100;
const DEFAULT_TIMEOUT = '10';
const { usage } = voiceOf('daemontap');

const verbs: readonly (readonly [verb: Verb, description: string])[] = [
  ['start', 'have services up, as svc -u'],
  ['stop', 'have services down, as svc -d'],
  ['restart', 'end the processes of services with TERM and start them again; start those that are down'],
];

const NAMES = `
A service is named as it is in the scan directory, finger, and its log service finger/log; or by the path of its
directory, as svc takes it: /service/finger, ./finger. The scan directory is --dir, or else $DAEMONTAP_SCAN_DIR, or
else the current one.
`;

/** Adds the commands; each hands its exit code on. */
export function addServiceCommands(main: Command, ends: (exitCode: number) => void): void {
  add(main, 'status', 'show services: all of the scan directory, or those that are named')
    .argument('[service...]')
    .option('--json', 'as JSON, the same as the API of the control socket')
    .action(async (words: readonly string[], options: Options & { readonly json?: true }) => {
      const { status } = await import('./status.ts');
      ends(await status({ ...placeOf(options), words: words.map(fromWord), json: options.json === true }));
    });
  for (const [verb, description] of verbs) {
    add(main, verb, description)
      .argument('[service...]')
      .option('--all', 'all services of the scan directory, without their log services')
      .option('--wait', 'until it is done: down, or up for a second')
      .option('--timeout <seconds>', `how long --wait waits; ${DEFAULT_TIMEOUT} by default, and --wait is implied`)
      .action(async (words: readonly string[], options: TellOptions) => {
        const { all, wait, timeout } = options;
        const waitMs = Number(timeout ?? DEFAULT_TIMEOUT) * 1000;
        if (timeout !== undefined && !(/^\d{1,6}(\.\d{1,3})?$/.test(timeout) && waitMs > 0)) {
          usage(`daemontap: fatal: unable to use --timeout ${timeout}: it must be a number of seconds, above 0`);
          return ends(WRONG_USE);
        }
        const { tell } = await import('./tell.ts');
        const waits = wait === true || timeout !== undefined;
        const place = placeOf(options);
        const request = { ...place, verb, words: words.map(fromWord), all: all === true };
        return ends(await tell({ ...request, waitMs: waits ? waitMs : undefined }));
      });
  }
}

function add(main: Command, name: string, description: string): Command {
  return main
    .command(name)
    .description(description)
    .helpOption('--help', 'show this help')
    .option('--dir <directory>', 'the scan directory')
    .option('--config <file>', 'its configuration, if that is not in it: it may say where the control socket is')
    .option('--runtime-dir <directory>', 'where the control socket is')
    .addHelpText('after', NAMES);
}

function placeOf({ dir, config, runtimeDir }: Options): DirectoryOptions {
  const inherited = environmentValue(readInherited().environment, 'DAEMONTAP_SCAN_DIR')?.toString('latin1');
  return {
    dir: fromWord(dir ?? (inherited || '.')),
    ...(config === undefined ? {} : { config }),
    ...(runtimeDir === undefined ? {} : { runtimeDir }),
  };
}
