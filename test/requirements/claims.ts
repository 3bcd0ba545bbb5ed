/**
 * Which test proves which rows of requirements.ts: file, then the test's own title, then row ids. A row that stands
 * nowhere here is not yet proved. A row is claimed only for a test that would fail without it.
 */
export const claims: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {}
