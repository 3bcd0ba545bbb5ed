/** Hooks of the page. */

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { State, Store } from './state.ts'

/** The store's state, kept up to date. */
export function useStore(store: Store): State {
  const [state, setState] = useState(store.state)
  useLayoutEffect(() => {
    setState(store.state)
    return store.subscribe(() => setState(store.state))
  }, [store])
  return state
}

/** A module's export, fetched when first needed; undefined until it is there. */
export function useLazy<T>(load: () => Promise<T>, wanted = true): T | undefined {
  const [value, setValue] = useState<{ readonly it: T }>()
  const asked = useRef(false)
  useEffect(() => {
    if (!wanted || asked.current) return
    asked.current = true
    load().then(it => setValue({ it }))
  }, [wanted, load])
  return value?.it
}

/** Whether a media query holds. */
export function useMedia(query: string): boolean {
  const [media] = useState(() => matchMedia(query))
  const [matches, setMatches] = useState(media.matches)
  useEffect(() => {
    const look = (): void => setMatches(media.matches)
    media.addEventListener('change', look)
    return () => media.removeEventListener('change', look)
  }, [media])
  return matches
}

/** Whether text was just copied, and what copies it. */
export function useCopy(): [boolean, (text: string) => void] {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return undefined
    const timer = setTimeout(setCopied, 2_000, false)
    return () => clearTimeout(timer)
  }, [copied])
  return [copied, text => void navigator.clipboard?.writeText(text).then(() => setCopied(true))]
}

/** Opens a `<dialog>` as long as it is mounted, and tells when it was closed by the platform's own means. */
export function useModal(onClose: () => void): { readonly current: HTMLDialogElement | null } {
  const dialog = useRef<HTMLDialogElement>(null)
  useLayoutEffect(() => {
    const element = dialog.current
    element?.showModal()
    element?.addEventListener('close', onClose)
    return () => element?.removeEventListener('close', onClose)
  }, [onClose])
  return dialog
}
