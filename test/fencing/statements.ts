/** The statements of the page, which the recipe's store imports. */
import { example } from './recipe.js';

export const CLAIM = example('claim.sql');
export const SAVE = example('save.sql');
