export { createSearch, filterErrors, type Search, type SearchObserver, type SearchOptions } from './search.ts';
