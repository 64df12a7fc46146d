#!/usr/bin/env node
// What npm create runs, on whatever Node the machine has: plain JavaScript that needs no other package.
import { main } from '../dist/main.js';

process.exitCode = main(process.argv.slice(2));
