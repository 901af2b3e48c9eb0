/** Each planted fault is found, as a violation of the guarantee that it breaks. */
import { mutants } from './mutants.js';
import { theSimulationFinds } from './planted.js';

theSimulationFinds(mutants, 'build/mutants/all');
