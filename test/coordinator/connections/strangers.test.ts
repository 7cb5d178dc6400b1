import fc from 'fast-check'
import { expect, test } from 'vitest'
import { networkOf, StrangerBook } from '../../../coordinator/connections/strangers.ts'

const aBook = (strangersMax = 4, withoutCertificateOfAddressMax = 2) =>
  new StrangerBook({ strangersMax, withoutCertificateOfAddressMax })

/** Opens so many from the address; gives those that found room, oldest first. */
function open(book: StrangerBook, address: string, count: number): object[] {
  const connections = Array.from({ length: count }, () => ({}))
  return connections.filter((connection) => book.opened(connection, address) !== connection)
}

test('one address may take all the room there is, and no more', () => {
  const book = aBook(4)
  expect(open(book, '10.0.0.1', 6)).toHaveLength(4)
  expect(book.size).toBe(4)
})

test('when there is no room, the address that has most of it gives way to another, its oldest connection first', () => {
  const book = aBook(4)
  const [first, second] = open(book, '10.0.0.1', 4)
  expect(book.opened({}, '10.0.0.2')).toBe(first)
  expect(book.opened({}, '10.0.0.3')).toBe(second)
  expect(book.size).toBe(4)
})

test('among addresses that have equally many, the one that comes last finds no room', () => {
  const book = aBook(4)
  open(book, '10.0.0.1', 2)
  open(book, '10.0.0.2', 2)
  const one = {}
  expect(book.opened(one, '10.0.0.1')).toBe(one)
})

test('who has authenticated or is gone takes no room: any number of agents may be behind one address', () => {
  const book = aBook(4)
  for (let agent = 0; agent < 10_000; agent++) {
    const connection = {}
    expect(book.opened(connection, '10.0.0.1')).toBe(null)
    book.forget(connection)
  }
  expect(book.size).toBe(0)
})

test('of those without a certificate an address has so many, whatever room there is', () => {
  const book = aBook(100, 2)
  const found = open(book, '10.0.0.1', 3).map((connection) => book.cameWithoutCertificate(connection))
  expect(found).toEqual([true, true, false])
  const [other] = open(book, '10.0.0.2', 1)
  expect(book.cameWithoutCertificate(other!)).toBe(true)
})

test('a network of IPv6 counts as one address, one of IPv4 within IPv6 as itself', () => {
  expect(networkOf('2001:db8:0:1::5')).toBe('2001:db8:0:1::/64')
  expect(networkOf('2001:db8:0:1:ffff::1')).toBe('2001:db8:0:1::/64')
  expect(networkOf('2001:0db8:0:0001:0:0:0:1')).toBe('2001:db8:0:1::/64')
  expect(networkOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64')
  expect(networkOf('::1')).toBe('0:0:0:0::/64')
  expect(networkOf('::ffff:10.0.0.1')).toBe('10.0.0.1')
  expect(networkOf('10.0.0.1')).toBe('10.0.0.1')
})

test('whatever comes and goes, the bounds hold and the largest gives way', () => {
  const act = fc.record({ address: fc.integer({ min: 1, max: 5 }), leave: fc.boolean(), which: fc.nat(100) })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const book = aBook(10)
      /** What the book should hold: connection → address. */
      const held = new Map<object, string>()
      const countOf = (address: string) => [...held.values()].filter((each) => each === address).length
      for (const { address, leave, which } of acts) {
        if (leave) {
          const gone = [...held.keys()][which % (held.size || 1)]
          if (gone) book.forget(gone)
          if (gone) held.delete(gone)
          continue
        }
        const connection = {}
        const from = `10.0.0.${address}`
        const most = Math.max(0, ...[...held.values()].map(countOf))
        const closed = book.opened(connection, from)
        if (closed === null) expect(held.size).toBeLessThan(10)
        else if (closed === connection) expect(countOf(from)).toBe(most)
        else expect(countOf(held.get(closed)!)).toBe(most)
        if (closed !== connection) held.set(connection, from)
        if (closed) held.delete(closed)
        expect(book.size).toBe(held.size)
      }
    }),
  )
})
