package gateway

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// lifetime is what has been started: how it ends, and what SIGHUP does to it. The zero value is fit for
// use. Only the start uses it, one goroutine.
type lifetime struct {
	ends, hangups []func()
}

// onEnd has f run at the end; what was started last ends first.
func (l *lifetime) onEnd(f func()) { l.ends = append(l.ends, f) }

// onHangup has f run on each SIGHUP; f itself says how it went. One runs at a time.
func (l *lifetime) onHangup(f func()) { l.hangups = append(l.hangups, f) }

// followHangups begins to act on SIGHUP. Where there is nothing to do it keeps its usual effect.
func (l *lifetime) followHangups() {
	if len(l.hangups) == 0 {
		return
	}
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	var following sync.WaitGroup
	following.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-hangups:
				for _, f := range l.hangups {
					f()
				}
			}
		}
	})
	l.onEnd(func() {
		signal.Stop(hangups)
		close(done)
		following.Wait()
	})
}

// end ends all of it.
func (l *lifetime) end() {
	for _, f := range slices.Backward(l.ends) {
		f()
	}
	l.ends = nil
}
