/** daemontools' `supervise/status`: 18 bytes, replaced as a whole by a rename. */
import { closeSync, constants, openSync, renameSync, writeSync } from 'node:fs';
import { encodeStatus } from '@daemontap/formats';
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory, ServiceDirectory, ServiceStatus } from '@daemontap/kernel';

const { O_WRONLY, O_NONBLOCK, O_TRUNC, O_CREAT, O_NOFOLLOW } = constants;

/** Publishes every status of a service where `svstat` reads it. A failure is said and changes nothing else. */
export const statusFile: PluginFactory = definePlugin({
  name: 'status-file',
  apiVersion: 1,
  meetsHelpers: true,
  apply({ hooks, log }) {
    hooks.statusChanged.tap('status-file', (service, status) => {
      const { label } = service;
      let doing = `open ${label}/supervise/status.new`;
      try {
        publish(service, status, (next) => (doing = next));
      } catch (cause) {
        log.warning(`unable to ${doing}`, { cause, service });
      }
    });
  },
});

function publish({ path, label }: ServiceDirectory, status: ServiceStatus, doing: (what: string) => void): void {
  const fd = openSync(`${path}/supervise/status.new`, O_WRONLY | O_NONBLOCK | O_TRUNC | O_CREAT | O_NOFOLLOW, 0o644);
  try {
    doing(`write ${label}/supervise/status.new`);
    const record = encodeStatus(status);
    if (writeSync(fd, record) < record.length) throw new Error('partial write');
  } finally {
    closeSync(fd);
  }
  doing(`rename ${label}/supervise/status.new to status`);
  renameSync(`${path}/supervise/status.new`, `${path}/supervise/status`);
}
