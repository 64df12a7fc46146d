/** Messages through pino, on standard error. It is loaded only where it is wanted: it takes 7 MB. */
import { isatty } from 'node:tty';
import type { Plugin } from '@daemontap/kernel';

const STDERR = 2;

/** The plugin that shows messages in this form, and its options: colours on a terminal alone. */
export async function pinoMessages(format: 'json' | 'pretty'): Promise<{
  readonly plugin: Plugin;
  readonly options: { readonly format: 'json' | 'pretty'; readonly colours: boolean };
}> {
  const { logPino } = await import('@daemontap/log-pino');
  const options = { format, colours: format === 'pretty' && isatty(STDERR) };
  return { plugin: logPino(options), options };
}
