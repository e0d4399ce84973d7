/** Paths that there are not, and methods that a path does not take. */
import type { FastifyRequest } from 'fastify'
import { Problem } from './problem.ts'
import type { App } from './services.ts'

/**
 * Remembers what routes the app is given from now on.
 * @returns what to throw at a request that met none of them
 */
export function rememberRoutes(app: App): (request: FastifyRequest) => Problem {
  const routes: { path: RegExp; methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    routes.push({ path: patternOf(url), methods: [method].flat() })
  })
  return ({ url, method }) => {
    const path = url.split('?', 1)[0] as string
    const methods = new Set(routes.filter((route) => route.path.test(path)).flatMap((route) => route.methods))
    if (methods.size === 0) return new Problem(404, `There is nothing at ${path}`)
    const allowed = [...methods].sort().join(', ')
    return new Problem(405, `${path} takes ${allowed}, not ${method}`, { headers: { allow: allowed } })
  }
}

const patternOf = (url: string): RegExp => {
  const parts = url.split('/').map((part) => {
    if (part.startsWith(':')) return '[^/]+'
    return part === '*' ? '.*' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('/')}$`)
}
