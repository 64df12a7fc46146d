import { runProgram } from '../program.ts';
import { svok } from '../svok.ts';

runProgram('svok', svok);
