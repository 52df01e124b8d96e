package gateway

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// lifecycle is what New has started: a stack of cleanups, and the hooks that reload files. The zero value is ready
// to use. Only the start adds to it, in one goroutine.
type lifecycle struct {
	cleanups, reloads []func()
}

// onCleanup adds f to the stack: what was started last is cleaned up first.
func (l *lifecycle) onCleanup(f func()) { l.cleanups = append(l.cleanups, f) }

// onReload has f run on each SIGHUP; f itself logs its outcome.
func (l *lifecycle) onReload(f func()) { l.reloads = append(l.reloads, f) }

// reload runs the hooks, in the order in which they were added.
func (l *lifecycle) reload() {
	for _, f := range l.reloads {
		f()
	}
}

// reloadOnHangup begins to reload on SIGHUP, one at a time. Without hooks the signal keeps its usual effect, but under a service
// manager: `systemctl reload` must not end the process.
func (l *lifecycle) reloadOnHangup() {
	if len(l.reloads) == 0 && os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-hangups:
				l.reload()
			}
		}
	})
	l.onCleanup(func() {
		signal.Stop(hangups)
		close(done)
		running.Wait()
	})
}

// close runs the cleanups, once.
func (l *lifecycle) close() {
	for _, f := range slices.Backward(l.cleanups) {
		f()
	}
	l.cleanups = nil
}
