/** How a log host's process is started: by the Node that runs this, with what its work wants. */
import { dirname, extname, join } from 'node:path';
import type { SpawnPlan } from '@daemontap/kernel';
import { inheritedVariables, readLimit } from '@daemontap/posix';

/** Log lines want the optimizing compilers, and thousands of streams little memory. */
const NODE_OPTIONS = ['--disable-sigusr1', '--max-semi-space-size=1', '--v8-pool-size=1'];
/** Streams whose disk has died keep threads of libuv's pool: there are to be others. */
const THREADS = 16;

/**
 * Where a host's program is that lies beside a module, whatever both were made into: a source, its compiled form, a bundle.
 * @param filename the module's own, `import.meta.filename`
 */
export function programBeside(filename: string, name: string): string {
  return join(dirname(filename), `${name}${extname(filename)}`);
}

/** The part of a plan that starts a host's program; `words` are its arguments. */
export function startOfHost({
  program,
  plan,
  words,
}: {
  readonly program: string;
  readonly plan: SpawnPlan;
  readonly words: readonly string[];
}): Pick<SpawnPlan, 'file' | 'argv' | 'environment'> {
  const source = program.endsWith('.ts') ? ['--conditions=@daemontap/source'] : [];
  const argv = [process.execPath, ...NODE_OPTIONS, ...source, program, ...words];
  const { environment, ignoredSignals, blockedSignals, descriptorLimit = readLimit('nofile') } = plan;
  // What a service would find, for what the host may start itself; nothing of it has an effect on the host.
  const descriptors = plan.descriptors.map(([target]) => target);
  const inherited = { environment, descriptorLimit, ignoredSignals, blockedSignals, descriptors };
  return {
    file: Buffer.from(process.execPath),
    argv: argv.map((word) => Buffer.from(word)),
    environment: [Buffer.from(`UV_THREADPOOL_SIZE=${THREADS}`), ...inheritedVariables(inherited)],
  };
}
