/**
 * Loads dockerode without what Berth does not use of it. Its main module also loads an SSH client and a gRPC stack (for
 * building images and for remote shells): 19 MB of memory in every agent, which is a quarter of what an agent may take. Those
 * modules are answered with empty ones while dockerode is being loaded, and only then.
 */
import { createRequire, registerHooks } from 'node:module'
import type Dockerode from 'dockerode'

export type { default as Dockerode } from 'dockerode'

const require = createRequire(import.meta.url)
/**
 * Required, as dockerode does it: an import reads all that node:http exports, and with its WebSocket comes a whole other HTTP
 * client, of 9 MB.
 */
export const { Agent } = require('node:http') as typeof import('node:http')

const UNUSED = new Set(['ssh2', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', 'tar-fs', '@balena/dockerignore'])
const EMPTY_URL = 'berth:unused-by-dockerode'

export const Docker = loadDockerode()

function loadDockerode(): typeof Dockerode {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      UNUSED.has(specifier) ? { url: EMPTY_URL, format: 'commonjs', shortCircuit: true } : next(specifier, context),
    load: (url, context, next) =>
      url === EMPTY_URL
        ? { format: 'commonjs', source: 'module.exports = {}', shortCircuit: true }
        : next(url, context),
  })
  try {
    return require('dockerode')
  } finally {
    hooks.deregister()
  }
}
