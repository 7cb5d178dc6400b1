/** Lists in pages: sorted by a key that does not change, so that a page begins behind the key of the one before. */
import { PAGE_LIMIT_DEFAULT, type Page, type PageQuery } from '../../shared/api.ts'

/** Items are picked and sorted by key first; only those of the page are viewed. */
export function page<Item, View>(
  items: Iterable<Item>,
  query: PageQuery,
  key: (item: Item) => string,
  view: (item: Item) => View,
): Page<View> {
  const limit = query.limit ?? PAGE_LIMIT_DEFAULT
  const { after } = query
  const keyed: { key: string; item: Item }[] = []
  for (const item of items) {
    const itemKey = key(item)
    if (after === undefined || itemKey > after) keyed.push({ key: itemKey, item })
  }
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  const shown = keyed.slice(0, limit)
  return {
    items: shown.map(({ item }) => view(item)),
    next: keyed.length > limit ? (shown.at(-1)?.key ?? null) : null,
  }
}
