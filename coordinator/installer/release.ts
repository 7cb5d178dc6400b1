/**
 * `node release.ts FOLDER`: packs what a coordinator's host runs from (agent included) out of this checkout into
 * `FOLDER/berth.tar.gz` and prints `VERSION-HASH`, the release's name. install.sh calls it.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { archive, hashOf, nodeFor } from './archive.ts'
import { ARCHITECTURES } from './bundle.ts'
import { neededPackages } from './packages.ts'

const ROOT = join(import.meta.dirname, '../..')
const SOURCE_FOLDERS = ['agent', 'shared', 'cli', 'bin', 'coordinator']
const OTHERS = ['package.json', 'package-lock.json', 'install.sh', 'LICENSE', 'README.md', 'examples']

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: node release.ts FOLDER')
const node = nodeFor(ROOT, process.arch)
if (node === null) throw new Error(`there is no Node.js in ${ROOT}/node_modules; run npm ci`)

// Node for the other processor, when it was installed, goes along for the hosts that have it.
const foreign = ARCHITECTURES.filter((arch) => arch !== process.arch).map((arch) => `node_modules/node-linux-${arch}`)
const extras = [...OTHERS, ...foreign].filter((path) => existsSync(join(ROOT, path)))
const packages = await neededPackages(ROOT, SOURCE_FOLDERS, process.arch)
const path = join(folder, 'berth.tar.gz')
await archive(ROOT, node, [...SOURCE_FOLDERS, ...extras, ...packages], path)

const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
console.log(`${version}-${(await hashOf(path)).slice(0, 12)}`)
