/** Style sheets are imported for their effect; the bundler makes links of them. */
declare module '*.css' {}
