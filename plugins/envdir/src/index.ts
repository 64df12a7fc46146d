export { envdir } from './envdir.ts';
export type { EnvdirOptions } from './envdir.ts';
