import { runProgram } from '../program.ts';
import { svc } from '../svc.ts';

runProgram('svc', svc);
