import { runProgram } from '../program.ts';
import { svstat } from '../svstat.ts';

runProgram('svstat', svstat);
