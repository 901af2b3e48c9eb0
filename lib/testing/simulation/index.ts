export { faultKinds, type FaultKind, type SimulatedFault } from './fault-kinds.js';
export { featureKinds, type FeatureKind } from './features.js';
export { simulate, type SeedReport, type SimulationOptions, type SimulationReport } from './simulate.js';
export type { Guarantee, Violation } from './witness.js';
