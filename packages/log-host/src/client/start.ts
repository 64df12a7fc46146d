/** How a log host's process is started: by the Node that runs this, with what its work wants. */
import type { SpawnPlan } from '@daemontap/kernel';

/** Log lines want the optimizing compilers, and thousands of streams little memory. */
const NODE_OPTIONS = ['--disable-sigusr1', '--max-semi-space-size=1', '--v8-pool-size=1'];
/** Streams whose disk has died keep threads of libuv's pool: there are to be others. */
const THREADS = 16;
/** What is meant for other programs, or was for the kernel. */
const NOT_FOR_HOST = /^(NODE_OPTIONS|UV_THREADPOOL_SIZE)=/;

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
  const environment = plan.environment.filter((each) => !NOT_FOR_HOST.test(each.toString('latin1')));
  return {
    file: Buffer.from(process.execPath),
    argv: argv.map((word) => Buffer.from(word)),
    environment: [...environment, Buffer.from(`UV_THREADPOOL_SIZE=${THREADS}`)],
  };
}
