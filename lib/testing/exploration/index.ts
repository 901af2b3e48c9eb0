export { explore, type Exploration, type Progress } from './explore.js';
export { replay, tellStory } from './story.js';
export type { Scope } from './world.js';
