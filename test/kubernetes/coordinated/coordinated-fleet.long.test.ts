/** More seeds than coordinated-fleet.test.ts runs, and every planted fault. */
import { keepsEveryGuarantee, theFleetsFind } from './coordinated-checks.js';
import { coordinatedMutants } from './coordinated-mutants.js';

keepsEveryGuarantee(100_001, 300);
theFleetsFind(coordinatedMutants, 300, 'build/mutants/coordinated-all');
