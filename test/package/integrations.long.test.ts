/** Every integration on Nest 11. */
import { everyIntegrationOn } from './integrations.js';

everyIntegrationOn('11');
