// Both ways of loading the package give the same classes, so that Nest finds one LeaderService.
import { createRequire } from 'node:module';
import * as imported from 'nestjs-leader';
import * as importedTesting from 'nestjs-leader/testing';

const require = createRequire(import.meta.url);
const same =
  require('nestjs-leader').LeaderService === imported.LeaderService &&
  require('nestjs-leader/testing').ScriptedElector === importedTesting.ScriptedElector;
console.log(same ? 'one instance' : 'TWO INSTANCES');
