/** What the recipe's store imports: the statements, as the page has them. */
import { example } from './recipe.js';

export const CLAIM = example('claim.sql');
export const SAVE = example('save.sql');
