/**
 * Gives services the environment of a directory's files, as daemontools' envdir, read anew at each start. It reads with
 * the kernel's rights what may be somebody else's: `directory.ts` sees to it that this gives nobody more to read.
 */
import * as v from 'valibot';
import { changeEnvironment } from '@daemontap/formats';
import { definePlugin } from '@daemontap/kernel';
import type { PluginFactory, ServiceDirectory } from '@daemontap/kernel';
import { readInside, readShared } from './directory.ts';

/** Where the files are. Each sets the variable of its name to its first line, and removes it when it is empty. */
export interface EnvdirOptions {
  /**
   * A directory within the service directory: `env`. No part of it may be a symbolic link, so it leads nowhere else and
   * may be left to the service's own configuration. Default: none.
   */
  readonly dir?: string;
  /** An absolute path: the same directory for many services, whose variables `dir` may change again. Default: none. */
  readonly sharedDir?: string;
  /** True: a service without its `dir` is started without it. Default: false, it is not started. */
  readonly optional?: boolean;
}

const schema = v.strictObject({
  dir: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[^\0]+$/, 'it must be a path'),
      v.check(
        (path) => !path.split('/').some((part) => part === '' || part === '.' || part === '..'),
        'it must be within the service directory: relative, and without . and ..',
      ),
    ),
  ),
  sharedDir: v.optional(v.pipe(v.string(), v.regex(/^\/[^\0]*$/, 'it must be an absolute path'))),
  optional: v.optional(v.boolean(), false),
});

/** Gives services the environment of a directory's files. Log services have what is said of them by name alone. */
export const envdir: PluginFactory<EnvdirOptions> = definePlugin({
  name: 'envdir',
  apiVersion: 1,
  schema,
  apply({ hooks, optionsFor, serviceOptions }) {
    const optionsOf = (service: ServiceDirectory): v.InferOutput<typeof schema> => {
      const { optional, ...dirs } = optionsFor(service);
      if (service.role === 'service') return { optional, ...dirs };
      const own = serviceOptions(service);
      return { optional, ...Object.fromEntries(Object.entries(dirs).filter(([key]) => Object.hasOwn(own, key))) };
    };
    hooks.prepareSpawn.tap('envdir', (plan, service) => {
      const { dir, sharedDir, optional } = optionsOf(service);
      const entries = [
        ...(sharedDir === undefined ? [] : readShared(sharedDir)),
        ...(dir === undefined ? [] : readInside({ servicePath: service.path, dir, optional })),
      ];
      if (entries.length === 0) return plan;
      return { ...plan, environment: entries.reduce(changeEnvironment, plan.environment) };
    });
  },
});
