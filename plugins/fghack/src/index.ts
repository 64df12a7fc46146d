export { fghack } from './fghack.ts';
export type { FghackOptions } from './fghack.ts';
