/** Preloaded into what the launcher runs: when the launcher dies, even by SIGKILL, this process and its group end too. */
process.once('disconnect', () => {
  setTimeout(() => process.exit(1), 8_000).unref()
  process.kill(process.platform === 'win32' ? process.pid : -process.pid, 'SIGTERM')
})
// A listener keeps the channel, and with it the process, alive; work alone should.
process.channel?.unref()
