// Says what would break clients between two schemas, and fails unless each of it is named.
//
//   node breaking-changes.mjs released.graphql schema.graphql named.txt
//
// named.txt holds one change a line, as this script prints it; lines that begin with # say why.
import { readFileSync } from 'node:fs'
import { buildSchema, findBreakingChanges } from 'graphql'

const [released, current, named] = process.argv.slice(2).map((file) => readFileSync(file, 'utf8'))
if (named === undefined) {
  console.error('usage: node breaking-changes.mjs released.graphql schema.graphql named.txt')
  process.exit(2)
}
const names = new Set(named.split('\n').map((line) => line.trim()).filter((line) => line && !line.startsWith('#')))
const changes = findBreakingChanges(buildSchema(released), buildSchema(current)).map(
  ({ type, description }) => `${type}: ${description}`,
)
const unnamed = changes.filter((change) => !names.has(change))
for (const change of unnamed) console.error(change)
if (unnamed.length > 0) {
  console.error(`\n${unnamed.length} changes break clients. Keep what they use and deprecate it, or name each above in the list.`)
  process.exit(1)
}
console.log(`${changes.length} breaking changes, all of them named`)
