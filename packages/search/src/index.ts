export { filterErrors } from './filter.ts';
export { createSearch, type Search, type SearchObserver, type SearchOptions } from './search.ts';
