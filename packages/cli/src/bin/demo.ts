import { demo } from '../demo.ts';

void demo(process.argv[2]).then((code) => process.exit(code));
