export { controlFifo } from './control-fifo.ts';
