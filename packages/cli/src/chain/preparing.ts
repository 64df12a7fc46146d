/** The name under which the bundle of chain-loading programs prepares starts. It is none of a program in bin/. */
export const PREPARING = 'prepared';
