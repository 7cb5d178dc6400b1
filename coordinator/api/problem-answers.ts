/** Whatever was thrown, as an RFC 9457 problem document with a stable code. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { ProblemDocument } from '../../shared/api.ts'
import { BerthError, ERROR_CODES, type ErrorCode } from '../../shared/errors.ts'
import type { Log } from '../../shared/log.ts'

type FieldError = { keyword: string; instancePath: string; message?: string; params?: Record<string, unknown> }

const fieldsToldMax = 5

export function answerProblem(log: Log | undefined) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    const told = toBerthError(error)
    if (told.code === 'internal') log?.error({ err: error, method: request.method, url: request.url }, 'request failed')
    return sendProblem(reply, told)
  }
}

export function unknownRoute(request: FastifyRequest, reply: FastifyReply) {
  const path = request.url.split('?')[0]
  return sendProblem(reply, new BerthError('not-found', `${request.method} ${path} is no route; see /v1/openapi.json`))
}

export function problemDocument(error: BerthError): ProblemDocument {
  return {
    ...error.details,
    type: `urn:berth:error:${error.code}`,
    title: error.code.replaceAll('-', ' '),
    status: ERROR_CODES[error.code].status,
    detail: error.message,
    code: error.code,
  }
}

function sendProblem(reply: FastifyReply, error: BerthError) {
  return reply
    .code(ERROR_CODES[error.code].status)
    .header('content-type', 'application/problem+json')
    .send(JSON.stringify(problemDocument(error)))
}

function toBerthError(error: FastifyError): BerthError {
  if (error instanceof BerthError) return error
  if (error.validation) return fieldsError(error.validation as FieldError[], error.validationContext)
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new BerthError('too-large', 'the body is larger than 8 MiB')
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new BerthError(codeOfStatus(error.statusCode), error.message, { cause: error })
  }
  // What broke inside is for the log; its words could hold what nobody outside should read.
  return new BerthError('internal', 'the coordinator failed at this request; its log says why', { cause: error })
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 404) return 'not-found'
  if (status === 413) return 'too-large'
  return 'invalid-request'
}

/** Names the fields that are wrong: `services.api.task.restart.delayMs must be >= 0`. */
export function fieldsError(errors: FieldError[], context = 'body'): BerthError {
  // A union fails with the complaints of each of its members; the ones that lie deepest are about what was meant.
  const telling = errors.filter((error) => error.keyword !== 'anyOf' && !isRepeated(error, errors))
  const ordered = telling.length > 0 ? telling : errors
  const fields = new Map<string, string>()
  for (const error of ordered) {
    const field = fieldOf(error)
    if (!fields.has(field)) fields.set(field, isOneOf(error) ? choiceWords(error, ordered) : wordsOf(error))
  }
  const told = [...fields].slice(0, fieldsToldMax)
  const where = context === 'body' ? '' : `${context}: `
  const text = told.map(([field, words]) => `${field || 'the body'} ${words}`).join('; ')
  return new BerthError('invalid-request', `${where}${text}`, {
    details: { in: context, fields: told.map(([field, message]) => ({ field, message })) },
  })
}

const isOneOf = ({ params }: FieldError) => params?.allowedValue !== undefined

/** A union of words fails once for each of them. */
function choiceWords({ instancePath }: FieldError, errors: FieldError[]): string {
  const same = errors.filter((error) => error.instancePath === instancePath && isOneOf(error))
  const words = [...new Set(same.map(({ params }) => JSON.stringify(params?.allowedValue)))]
  return words.length === 1 ? `must be ${words[0]}` : `must be one of ${words.join(', ')}`
}

/** A member that may not be there is told twice: by its parent, and by itself as `schema is false`. */
function isRepeated(error: FieldError, errors: FieldError[]): boolean {
  return error.keyword === 'additionalProperties' && errors.some((other) => other.keyword === 'boolean')
}

function fieldOf(error: FieldError): string {
  const path = error.instancePath.split('/').slice(1).map(unescapePointer).join('.')
  const missing = error.keyword === 'required' ? error.params?.requiredProperties : undefined
  const first: unknown = Array.isArray(missing) ? missing[0] : undefined
  return typeof first === 'string' ? [path, first].filter(Boolean).join('.') : path
}

function wordsOf(error: FieldError): string {
  if (error.keyword === 'boolean') return 'is not a field that is known here'
  if (error.keyword === 'required') return 'is missing'
  const allowed = error.params?.allowedValues
  if (Array.isArray(allowed)) return `must be one of ${allowed.map((value) => JSON.stringify(value)).join(', ')}`
  return error.message ?? 'is not valid'
}

const unescapePointer = (part: string) => part.replaceAll('~1', '/').replaceAll('~0', '~')
