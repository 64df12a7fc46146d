export { setuidgid } from './setuidgid.ts';
export type { SetuidgidOptions } from './setuidgid.ts';
