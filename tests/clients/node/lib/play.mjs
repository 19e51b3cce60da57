// What every flow has: its arguments, a person who opens addresses, a fetch that keeps what was sent and answered, and
// the last line. See tests/clients/play.py.
import { createInterface } from 'node:readline'
import * as jose from 'jose'
import { showing } from './certificate.mjs'

const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const heard = async () => JSON.parse((await input.next()).value)
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n')

export const args = await heard()
export const app = args.app

/** Where the person's browser ends, after she has opened the address and answered. */
export async function person(address) {
  say({ open: String(address) })
  return new URL((await heard()).back)
}

const steps = []
const fetching = app.certificate ? showing(app) : fetch

/** fetch, with every exchange kept for who reads of a stumble. */
export async function tracing(address, options = {}) {
  const body = options.body === undefined || options.body === null ? undefined : String(options.body)
  const step = { method: options.method ?? 'GET', address: String(address), headers: fields(options.headers), body }
  steps.push(step)
  const answer = await fetching(address, options)
  step.status = answer.status
  step.answered = fields(answer.headers)
  step.answer = (await answer.clone().text()).slice(0, 1000)
  return answer
}

const fields = (headers) => Object.fromEntries(new Headers(headers ?? {}).entries())

/** Every exchange with an address that ends so. */
export const exchanged = (end) => steps.filter((step) => new URL(step.address).pathname.endsWith(end))

export const privateKey = (jwk = app.key) => jose.importJWK(jwk, jwk.alg)

/** What is asked for: authorization_details (RFC 9396), and a scope where the flow is told one. */
export const wanted = (more) => ({
  ...(args.details ? { authorization_details: JSON.stringify(args.details) } : {}),
  ...(args.scope ? { scope: args.scope } : {}),
  ...more,
})

/** A refusal in plain words, from the errors of openid-client and oauth4webapi; undefined for any other error. */
function refusal(error) {
  if (typeof error?.code !== 'string' || !error.code.startsWith('OAUTH_')) return undefined
  const cause = error.cause instanceof URLSearchParams ? Object.fromEntries(error.cause) : error.cause
  const challenge = Array.isArray(cause) ? cause : undefined
  return {
    message: [error.message, error.code, JSON.stringify(cause instanceof Error ? cause.message : cause)].join(' | '),
    code: error.code,
    error: error.error,
    description: error.error_description,
    status: error.status,
    challenge,
  }
}

/** What a step was refused with. null: it was not. */
export async function refused(step) {
  try {
    await step()
    return null
  } catch (error) {
    const told = refusal(error)
    if (!told) throw error
    return told
  }
}

/** Run the flow and say its last line. */
export async function play(flow) {
  try {
    say({ result: await flow() })
  } catch (error) {
    const told = refusal(error)
    if (!told) throw error
    say({ refused: told, steps })
  }
  process.exit(0)
}
