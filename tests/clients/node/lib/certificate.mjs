// fetch that shows a certificate in the handshake (RFC 8705): Node's own fetch cannot.
import { request } from 'node:https'

/** A function like fetch, for a certificate and its key in PEM; without them nothing is shown. */
export const showing = ({ certificate, certificate_key } = {}) => (address, options = {}) =>
  new Promise((resolve, reject) => {
    const headers = Object.fromEntries(new Headers(options.headers ?? {}).entries())
    const shown = { cert: certificate, key: certificate_key, agent: false }
    const sent = request(address, { method: options.method ?? 'GET', headers, ...shown }, (answer) => {
      const chunks = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('end', () => {
        const body = Buffer.concat(chunks)
        const fields = Object.entries(answer.headers).map(([name, value]) => [name, String(value)])
        resolve(new Response(body.length ? body : null, { status: answer.statusCode, headers: fields }))
      })
    })
    sent.on('error', reject)
    sent.end(options.body === undefined || options.body === null ? undefined : String(options.body))
  })
