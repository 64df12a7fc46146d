/** A control transport for daemontap: takes commands for each service over a Unix socket, and answers them. */
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { definePlugin } from '@daemontap/kernel';
import type { Command } from '@daemontap/kernel';
import * as v from 'valibot';

const schema = v.strictObject({
  /** The directory of the sockets, an absolute path; default: the plugin's own state directory. */
  dir: v.optional(v.pipe(v.string(), v.startsWith('/', 'it must be an absolute path'))),
  /** A client that sends nothing for this long is let go, in milliseconds; default 10000. */
  idleTimeoutMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)), 10_000),
});

export type Options = v.InferInput<typeof schema>;

export const factoryName = definePlugin({
  name: 'PLUGIN_NAME',
  apiVersion: 1,
  schema,
  apply({ hooks, log, stateDir }, { dir, idleTimeoutMs }) {
    hooks.openControl.tap('PLUGIN_NAME', (service, control) => {
      const path = join(dir ?? stateDir(), encodeURIComponent(service.label)); // a label may have slashes in it
      const clients = new Set<Socket>();
      const server = createServer((client) => {
        clients.add(client);
        client.on('close', () => clients.delete(client));
        client.on('error', () => client.destroy()); // it has gone away
        client.setTimeout(idleTimeoutMs, () => client.destroy());
        client.setEncoding('latin1').on('data', (letters: string) => {
          for (const letter of letters) {
            const isKnown = isCommand(letter);
            if (isKnown) control.command(letter);
            client.write(isKnown ? `ok ${letter}\n` : 'unknown command\n');
          }
        });
      });
      // The service can do without this plugin: whoever cannot connect finds the reason in the messages.
      server.on('error', (cause) => log.warning(`unable to listen on ${path}`, { cause, service }));
      rmSync(path, { force: true }); // left by a kernel that was killed
      const umask = process.umask(0o177); // for its owner alone
      server.listen(path);
      process.umask(umask);
      control.opened({
        close() {
          server.close();
          for (const client of clients) client.destroy();
        },
      });
    });
  },
});

function isCommand(letter: string): letter is Command {
  return 'udopchaitkx'.includes(letter);
}
