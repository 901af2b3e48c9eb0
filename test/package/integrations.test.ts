/** Every integration on Nest 12. On Nest 11, which the tests of test/nest use, too, they are tested in the long run. */
import { everyIntegrationOn } from './integrations.js';

everyIntegrationOn('12');
