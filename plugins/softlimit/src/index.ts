export { softlimit } from './softlimit.ts';
export type { SoftLimit, SoftlimitOptions } from './softlimit.ts';
