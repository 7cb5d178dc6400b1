/** The install.sh that a coordinator hands to hosts: the project's own, knowing where it came from and whom to trust. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BerthError } from '../../shared/errors.ts'

export type Origin = {
  /** `https://10.0.0.5:23784` */
  url: string
  /** As curl's --pinnedpubkey takes it. */
  serverKeyPin: string
  caCertificatePem: string
}

/** Where install.sh says that values of its coordinator may stand. */
const MARK = '# @origin@'
const URL_SHAPE = /^https:\/\/[A-Za-z0-9.:[\]-]+$/
const PIN_SHAPE = /^sha256\/\/[A-Za-z0-9+/=]+$/
const CERTIFICATE_SHAPE = /^-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n?$/

/** @throws BerthError `internal` when a value could be read by a shell as anything but itself */
export async function installScript(root: string, origin: Origin): Promise<string> {
  const script = await readFile(join(root, 'install.sh'), 'utf8')
  return script.replace(MARK, () => assignments(origin))
}

export function assignments({ url, serverKeyPin, caCertificatePem }: Origin): string {
  const ca = caCertificatePem.replaceAll('\r', '').trim()
  if (!URL_SHAPE.test(url) || !PIN_SHAPE.test(serverKeyPin) || !CERTIFICATE_SHAPE.test(ca)) {
    throw new BerthError('internal', 'the URL, key pin or CA certificate cannot stand in a shell script')
  }
  return [`origin_url='${url}'`, `origin_pin='${serverKeyPin}'`, `origin_ca='${ca}'`].join('\n')
}
