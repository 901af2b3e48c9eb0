/** The checker finds each planted fault, and names the rule that it breaks. */
import { ruleBreakers } from './mutants.js';
import { theCheckerFinds } from './planted.js';

theCheckerFinds(ruleBreakers, 'build/mutants/rules/all');
