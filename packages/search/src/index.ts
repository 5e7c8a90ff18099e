export { createSearch, type Search, type SearchObserver, type SearchOptions, type SearchScope } from './search.ts';
