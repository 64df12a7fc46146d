/**
 * The pipe between a service and its log service: a named FIFO, of which every start opens its own end. It lives as
 * long as supervision, so neither side's restart loses a line; and the service holds a reader of its own, so it lives
 * on when the kernel does not.
 */
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { definePlugin, KernelError } from '@daemontap/kernel';
import type { LogSink, PluginFactory } from '@daemontap/kernel';
import { takeFifo } from '@daemontap/posix';

const { O_RDONLY, O_RDWR, O_NONBLOCK, O_NOFOLLOW } = constants;

/** Gives each service that has a log/ directory a pipe to the service in it. */
export const logPipe: PluginFactory = definePlugin({
  name: 'log-pipe',
  apiVersion: 1,
  apply(kernel) {
    kernel.hooks.openLogSink.tap('log-pipe', (service) => {
      if (!service.hasLog) return undefined;
      try {
        return openPipe(`${kernel.stateDir()}/pipe-${service.identity}`);
      } catch (cause) {
        throw new KernelError('PIPE_FAILED', `unable to create pipe for ${service.label}`, { cause });
      }
    });
  },
});

function openPipe(path: string): LogSink {
  takeFifo(path); // a killed kernel's perhaps, to which a service is writing still
  // Keeps what is in the pipe while neither side runs, and the reader from end of file while the service is down.
  const held = openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
  let isHeld = true;
  const end = (): void => {
    if (isHeld) closeSync(held);
    isHeld = false;
  };
  return {
    // Through the descriptor: whoever tidies up the runtime directory does no harm.
    openOutput: () => openSync(`/proc/self/fd/${held}`, O_RDWR),
    openInput: () => openSync(`/proc/self/fd/${held}`, O_RDONLY),
    end,
    close() {
      end();
      rmSync(path, { force: true });
    },
  };
}
