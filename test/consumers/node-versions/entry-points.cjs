// Loads every entry point in two ways, `node entry-points.cjs import require` or the other way round, and says what ran and
// which exports the two ways gave as different objects: Nest would not find a class of the one by that of the other.
const { existsSync } = require('node:fs');

const ways = { import: (entry) => import(entry), require: (entry) => require(entry) };
const [first, second] = process.argv.slice(2).map((way) => ways[way]);
const clientNode = 'node_modules/@kubernetes/client-node/package.json';

async function main() {
  const entryPoints = Object.keys(require('nestjs-leader/package.json').exports)
    .filter((path) => path !== './package.json')
    .map((path) => path.replace('.', 'nestjs-leader'));
  const empty = [];
  const different = [];
  for (const entry of entryPoints) {
    const [one, other] = [await first(entry), await second(entry)];
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    if (names.size === 0) empty.push(entry);
    for (const name of names) if (one[name] !== other[name]) different.push(`${name} of ${entry}`);
  }
  const ran = {
    node: process.version,
    nest: require('@nestjs/core/package.json').version,
    clientNode: existsSync(clientNode) ? require(`./${clientNode}`).version : 'none',
  };
  console.log(JSON.stringify({ ran, entryPoints, empty, different }));
}

void main();
